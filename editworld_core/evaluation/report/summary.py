"""One setup in numbers."""

from collections.abc import Callable, Iterable, Sequence
from statistics import fmean, median
from typing import Any

from editworld_core.evaluation.measures.table import VALUES
from editworld_core.evaluation.record import Scored
from editworld_core.evaluation.statistics import Mean, grouped, means

DIGITS = 4


def summary(scored: Sequence[Scored]) -> dict[str, Any]:
    """The scores of one setup, ready for JSON; None where no item has the value.

    ``success``: rates ``overall``, ``by_category`` and, of simulated worlds, ``by_dynamic``, all before post-edit;
    ``success_final`` the overall rate after it. ``psnr_outside``: median in dB, before post-edit. ``mask_iou``: means
    of the ``attention`` mask and the ``final`` one. ``st_lpips_outside``: means of ``edited`` and ``final``.
    ``seconds_per_edit``: median. ``items``, ``failures``: their numbers. ``scores``, ``by_category``, ``by_branch``: by
    name of a value ``{"mean", "low", "high", "count"}``, low and high the ends of the 95% interval.
    """
    done = [one for one in scored if not one.failure]
    return {
        "success": {
            "overall": _mean(done, "success_edited"),
            "by_category": rates(done, lambda one: one.item.category),
            "by_dynamic": rates(done, dynamic_of),
        },
        "success_final": _mean(done, "success_final"),
        "psnr_outside": median_of(done, "psnr_outside_edited"),
        "mask_iou": {
            "attention": _mean(done, "mask_iou_attention"),
            "final": _mean(done, "mask_iou_final"),
        },
        "st_lpips_outside": {
            "edited": _mean(done, "st_lpips_outside_edited"),
            "final": _mean(done, "st_lpips_outside_final"),
        },
        "seconds_per_edit": median_of(done, "seconds"),
        "items": len(scored),
        "failures": len(scored) - len(done),
        "scores": as_json(means(done, list(VALUES))),
        "by_category": _groups(done, lambda one: one.item.category),
        "by_branch": _groups(done, lambda one: one.item.branch),
    }


def dynamic_of(one: Scored) -> str:
    """The dynamic of a simulated world, else empty."""
    return str(one.item.about.get("dynamic", ""))


def as_json(found: dict[str, Mean]) -> dict[str, Any]:
    """Means by name, rounded to six digits."""
    return {
        name: {
            "mean": digits(one.mean),
            "low": digits(one.low),
            "high": digits(one.high),
            "count": one.count,
        }
        for name, one in found.items()
    }


def digits(value: float | None) -> float | None:
    """``value`` with six digits that count."""
    return None if value is None else float(f"{value:.6g}")


def _groups(scored: Iterable[Scored], by: Callable[[Scored], str]) -> dict[str, Any]:
    found = grouped(scored, list(VALUES), by)
    return {group: as_json(values) for group, values in sorted(found.items()) if group}


def rates(scored: Iterable[Scored], by: Callable[[Scored], str]) -> dict[str, float]:
    """The rate of success before post-edit by group; what ``by`` calls nothing belongs to none."""
    groups: dict[str, list[float]] = {}
    for one in scored:
        value = one.values.get("success_edited")
        if value is not None and by(one):
            groups.setdefault(by(one), []).append(value)
    return {name: round(fmean(group), DIGITS) for name, group in sorted(groups.items())}


def _known(scored: Iterable[Scored], name: str) -> list[float]:
    return [value for one in scored if (value := one.values.get(name)) is not None]


def _mean(scored: Iterable[Scored], name: str) -> float | None:
    known = _known(scored, name)
    return round(fmean(known), DIGITS) if known else None


def median_of(scored: Iterable[Scored], name: str) -> float | None:
    """The median of a value, rounded to four decimals."""
    known = _known(scored, name)
    return round(median(known), DIGITS) if known else None
