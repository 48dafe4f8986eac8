"""EditWorld: say what happens, and see what the world does to the picture.

from PIL import Image
from editworld_core import EditSettings, WorldEditor

result = WorldEditor().edit(Image.open("snowman.png"), "the sun comes out", EditSettings(seed=1))
result.final.save("melted.png")
"""

from typing import TYPE_CHECKING

from editworld_core.settings import EditSettings

if TYPE_CHECKING:
    from editworld_core.editor import EditResult, WorldEditor

__version__ = "0.1.0"
__all__ = ["EditResult", "EditSettings", "WorldEditor"]


def __getattr__(name: str) -> object:
    """The editor, when it is first asked for: what it imports takes seconds."""
    if name in ("EditResult", "WorldEditor"):
        from editworld_core import editor

        return getattr(editor, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
