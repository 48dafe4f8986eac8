"""What the tables say, in sentences that are made of their numbers, so that they are as new as these."""

from collections.abc import Mapping, Sequence

from benchmarks.bootstrap import Estimate
from benchmarks.tables import Kind, Row, Table, in_words

LEAST_SCENES = 5  # of a group that is named


def findings(tables: Sequence[Table]) -> list[str]:
    """Sentences on where the post-edit fails, what helps, and how causes compare with commands, as far as known."""
    by_name = {table.name: table for table in tables}
    found = [
        _post_edit(by_name),
        _failures(by_name),
        _alignment(by_name),
        _wording(by_name),
        _unaffected(by_name),
    ]
    found += [_against_first(by_name[name], what) for name, what in COMPARED.items() if name in by_name]
    return [sentence for sentence in found if sentence]


COMPARED = {
    "helps": "What helps the post-edit",
    "threshold": "The threshold",
    "recorder": "Layers and resolutions",
    "recorder-steps": "The recorder's steps",
    "think": "The think step",
    "steps": "The number of denoising steps",
    "guidance": "Guidance",
}


def _rows(tables: Mapping[str, Table], name: str) -> dict[str, Row]:
    return {row.label: row for row in tables[name].rows} if name in tables else {}


def _number(row: Row, key: str) -> float:
    cell = row.cells.get(key)
    return cell.value if isinstance(cell, Estimate) else float("nan")


def _post_edit(tables: Mapping[str, Table]) -> str:
    rows = _rows(tables, "parts")
    if not rows:
        return ""
    before, masked, redrawn = (rows[label] for label in ("no post-edit", "+ segmentation", "+ inpainting"))
    whole = rows["true mask, no inpainting"]
    success = [in_words(row.cells["after"], "percent") for row in (before, masked, redrawn, whole)]
    return (
        f"**What the post-edit costs and gives.** Success goes from {success[0]} to {success[1]} by the mask, and to "
        f"{success[2]} if its inside is drawn anew as well; the median PSNR outside the true mask goes from "
        f"{_number(before, 'psnr'):.1f} to {_number(masked, 'psnr'):.1f} dB. With the true mask success would be "
        f"{success[3]}."
    )


def _failures(tables: Mapping[str, Table]) -> str:
    rows = _rows(tables, "failures")
    if not rows:
        return ""
    every = rows["all"].cells["lost"]
    kind: Kind = "percent"
    if isinstance(every, Estimate) and every.value > 0:
        key = "lost"
        parts = [f"**Where it fails.** It loses {in_words(every, 'percent')} of the engine's successes"]
    else:
        key, kind = "added", "levels"
        added = in_words(rows["all"].cells[key], "levels")
        parts = [
            f"**Where it fails.** It loses none of the engine's successes, and adds {added} of 255 to the error"
        ]
    for group, what in (
        ("category", "by category"),
        ("true mask", "by size of the mask"),
        ("found", "by how much of the true mask was found"),
    ):
        cells = {
            label.partition(": ")[2]: row.cells[key]
            for label, row in rows.items()
            if label.startswith(f"{group}:")
        }
        large = {
            name: cell
            for name, cell in cells.items()
            if isinstance(cell, Estimate) and cell.count >= LEAST_SCENES
        }
        if len(large) > 1:
            best, *_, worst = sorted(large.items(), key=lambda each: each[1].value)
            low, high = (f"{in_words(cell, kind)} ({name})" for name, cell in (best, worst))
            parts.append(f"{what} from {low} to {high}")
    return "; ".join(parts) + "."


def _alignment(tables: Mapping[str, Table]) -> str:
    rows = _rows(tables, "parts-elsewhere")
    if not rows:
        return ""
    without, aligned, coloured = (rows[label] for label in ("+ inpainting", "+ alignment", "+ colours"))
    return (
        "**Edits from elsewhere.** On edits that were moved, zoomed and tinted, the final mask's IoU is "
        f"{_number(without, 'iou'):.2f} without alignment, {_number(aligned, 'iou'):.2f} with it, and the error inside "
        f"{_number(without, 'error_after'):.1f}, {_number(aligned, 'error_after'):.1f}, and with colours matched too "
        f"{_number(coloured, 'error_after'):.1f} of 255."
    )


def _wording(tables: Mapping[str, Table]) -> str:
    rows = list(_rows(tables, "wording").values())
    if not rows:
        return ""
    ordered = [row for row in rows if row.label[0].isdigit()]
    plain, cause, thought = ordered[0], ordered[-2], ordered[-1]
    before = [in_words(row.cells["before"], "percent") for row in (plain, cause, thought)]
    return (
        f"**Causes against commands.** Before post-edit the plainest command succeeds in {before[0]}, the purest cause "
        f"in {before[1]}, and as the think step's command in {before[2]}. After post-edit the cause differs from the "
        f"command by {in_words(cause.cells['gain'], 'points')} points, "
        f"{'which may be chance' if _by_chance(cause, 'gain') else 'beyond chance'}."
    )


def _by_chance(row: Row, key: str) -> bool:
    """Whether the interval of a difference holds zero."""
    found = row.cells.get(key)
    return isinstance(found, Estimate) and found.low <= 0 <= found.high


def _unaffected(tables: Mapping[str, Table]) -> str:
    rows = list(_rows(tables, "unaffected").values())
    if len(rows) < 2:
        return ""
    own, *foreign = rows
    least, most = (choose(foreign, key=lambda row: _number(row, "change")) for choose in (min, max))
    return (
        f"**Instructions of no concern** change the picture by {_number(least, 'change'):.1f} ({least.label}) to "
        f"{_number(most, 'change'):.1f} ({most.label}) of 255 levels in the mean; its own changes it by "
        f"{_number(own, 'change'):.1f}."
    )


def _against_first(table: Table, what: str) -> str:
    """Which lines of ``table`` leave more or less error than its first one, after post-edit and beyond chance."""
    first, *others = table.rows
    known = [row for row in others if isinstance(row.cells.get("error_gain"), Estimate)]
    apart = [row for row in known if not _by_chance(row, "error_gain")]
    better = [_named(row) for row in apart if _number(row, "error_gain") < 0]
    worse = [_named(row) for row in apart if _number(row, "error_gain") > 0]
    parts = [f"less error with {', '.join(better)}"] if better else []
    parts += [f"more error with {', '.join(worse)}"] if worse else []
    if len(apart) < len(known):
        parts.append(f"{'no other line' if parts else 'no line'} differs by more than chance may make")
    return f"**{what}**, against “{first.label}”, after post-edit: {'; '.join(parts)}."


def _named(row: Row) -> str:
    error, success = in_words(row.cells["error_gain"], "levels"), in_words(row.cells["gain"], "points")
    return f"“{row.label}”, {error} of 255 and {success} points of success"
