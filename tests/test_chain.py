"""Chains: what no mask touched is the upload's own, each step starts from the one before, and drift stays small."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from editworld_core import EditSettings, WorldEditor
from editworld_core.chain import MOST, Chain, run_chain
from editworld_core.editor import EditResult
from editworld_core.engines.protocol import Progress
from editworld_core.errors import BadInputError
from editworld_core.masks import Mask
from editworld_core.metrics import st_lpips_outside
from editworld_core.simulation.held_out import held_out_pair

sys.path.append(str(Path(__file__).parent / "ui"))
from stand_in import Painter, editor, noise

SETTINGS = EditSettings(seed=3, feather=0, hand_rule="replace")


class Columns:
    """Edits through the real editor that may change one more column of 8 pixels each time."""

    def __init__(self) -> None:
        self.painter = Painter()
        self.seen: list[Image.Image] = []
        self.told: list[str] = []

    def __call__(
        self,
        image: Image.Image,
        instruction: str,
        settings: EditSettings,
        progress: Progress | None = None,
        hand: Mask | None = None,
    ) -> EditResult:
        mask = np.zeros((image.height, image.width), bool)
        mask[:, 8 * len(self.seen) : 8 * len(self.seen) + 8] = True
        self.seen.append(image)
        self.told.append(instruction)
        return editor(self.painter).edit(image, instruction, settings, progress, mask)


def test_what_no_mask_touched_is_the_uploads_own_and_what_was_touched_is_carried() -> None:
    edit, upload = Columns(), noise(2)
    chain = run_chain(upload, ["paint", "then paint", "and then, paint it"], SETTINGS, edit)
    before = np.asarray(upload)
    assert chain.touched[:, :24].all()
    assert not chain.touched[:, 24:].any()
    assert np.array_equal(np.asarray(chain.picture)[:, 24:], before[:, 24:])
    assert not np.array_equal(np.asarray(chain.picture)[:, :24], before[:, :24])
    # the first column was painted once and never again
    for later in chain.pictures[2:]:
        assert np.array_equal(np.asarray(later)[:, :8], np.asarray(chain.pictures[1])[:, :8])
    assert [image.tobytes() for image in edit.seen] == [image.tobytes() for image in chain.pictures[:-1]]


def test_the_engine_is_not_told_then_and_the_caption_is() -> None:
    edit = Columns()
    said = ["Then it snows", "and then, night falls", "Finally: dawn", "the next of kin arrive", "then"]
    chain = run_chain(noise(1), said, SETTINGS, edit)
    assert edit.told == ["it snows", "night falls", "dawn", "the next of kin arrive", "then"]
    assert chain.captions == ("", *said)


def test_a_chain_is_made_longer_and_shorter_without_changing_it() -> None:
    edit = Columns()
    one = Chain(noise(1)).then("paint", SETTINGS, edit)
    two = one.then("paint", SETTINGS, edit)
    assert (len(one.steps), len(two.steps)) == (1, 2)
    assert two.without_last().picture is one.picture
    assert one.without_last().picture.tobytes() == noise(1).tobytes()
    assert Chain(noise(1)).without_last() == Chain(noise(1)).without_last()
    assert not Chain(noise(1)).touched.any()


def test_without_post_edit_the_rest_stays_all_the_same() -> None:
    upload = noise(5)
    chain = Chain(upload).then("paint", EditSettings(seed=1, post_edit=False), editor().edit)
    assert chain.touched.any()
    assert not chain.touched.all()
    kept = ~chain.touched
    assert np.array_equal(np.asarray(chain.picture)[kept], np.asarray(upload)[kept])


def test_what_cannot_be_chained_is_refused_before_anything_is_edited() -> None:
    edit = Columns()
    with pytest.raises(BadInputError, match="The instruction is empty"):
        run_chain(noise(1), ["paint", " "], SETTINGS, edit)
    with pytest.raises(BadInputError, match=f"1 to {MOST} edits, not 0"):
        run_chain(noise(1), [], SETTINGS, edit)
    with pytest.raises(BadInputError, match=f"1 to {MOST} edits, not 13"):
        run_chain(noise(1), ["paint"] * 13, SETTINGS, edit)
    assert not edit.seen


@pytest.mark.slow
def test_five_edits_drift_less_than_a_chain_of_whole_results() -> None:
    """In pictures of six things five change, and everything outside their true masks should not.

    A picture of six is unlike what the engine knows, and in one of nine it smeared one thing so widely that the mask
    kept none of what lay around it: the median of three counts.
    """
    names = ["wilt_flower", "melt_snowman", "grow_old", "break_egg", "become_robot", "walk_away"]
    edit = WorldEditor().edit
    drifts = []

    def joined(parts: list[np.ndarray]) -> np.ndarray:  # type: ignore[type-arg]
        return np.concatenate([np.concatenate(parts[:3], 1), np.concatenate(parts[3:], 1)])

    for scene in (5, 6, 7):
        pairs = [held_out_pair(name, scene) for name in names]
        upload = Image.fromarray(joined([pair.before for pair in pairs]))
        true = joined([pair.mask & (place < 5) for place, pair in enumerate(pairs)])
        said = [pair.phrasings[0] for pair in pairs[:5]]
        chain = run_chain(upload, said, EditSettings(seed=0), edit)
        naive = upload
        for instruction in said:
            naive = edit(naive, instruction, EditSettings(seed=0, post_edit=False)).final
        ours, theirs = (st_lpips_outside(upload, image, true) for image in (chain.picture, naive))
        drifts.append(ours / theirs)
        before = np.asarray(upload)
        kept = [
            (np.asarray(image)[~true] == before[~true]).all(-1).mean() for image in (chain.picture, naive)
        ]
        assert kept[0] > 0.25 > 0.05 > kept[1]
        assert np.array_equal(np.asarray(chain.picture)[~chain.touched], before[~chain.touched])
    assert np.median(drifts) < 0.8
