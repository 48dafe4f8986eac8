"""``training.train`` under FSDP on processors, for which accelerate, unlike torch, does not offer it."""

import os
import sys

os.environ |= {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "NO_WRAP",
    "FSDP_RESHARD_AFTER_FORWARD": "true",
}

from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType

from training.train import main

begin = AcceleratorState.__init__


def begin_sharded(self, *arguments, fsdp_plugin=None, **more) -> None:
    """As for several processors, and then as accelerate does for GPUs."""
    begin(self, *arguments, fsdp_plugin=fsdp_plugin, **more)
    if fsdp_plugin is not None:
        PartialState._shared_state["distributed_type"] = DistributedType.FSDP
        self.distributed_type, self.fsdp_plugin = DistributedType.FSDP, fsdp_plugin


AcceleratorState.__init__ = begin_sharded
sys.exit(main())
