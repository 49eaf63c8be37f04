"""A flame graph of collapsed stacks: the wider a frame, the more time was spent in it and what it calls. matplotlib draws it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

SHARE_MIN = 0.003  # a frame narrower than that is not drawn
LABEL_SHARE_MIN = 0.03
INCHES_PER_DEPTH = 0.2
COLOURS = {"nova_wsgi/": "#7fb3d5", "nova_objectstore/": "#f0a35e"}
OTHERS = "#c8c8c8"


@dataclass
class Frame:
    """A function as it was called from one place; ``count`` samples were in it or below."""

    name: str
    count: int = 0
    callees: dict[str, Frame] = field(default_factory=dict)


def grow(lines: Iterable[str]) -> Frame:
    """The tree of all stacks; its root is nobody."""
    root = Frame("all")
    for line in lines:
        stack, _, count = line.rpartition(" ")
        frame = root
        frame.count += int(count)
        for name in stack.split(";"):
            frame = frame.callees.setdefault(name, Frame(name))
            frame.count += int(count)
    return root


def boxes(frame: Frame, *, start: int = 0, depth: int = 0) -> Iterator[tuple[str, int, int, int]]:
    """Name, first sample, samples and depth of the frame and of all below it."""
    yield frame.name, start, frame.count, depth
    for callee in sorted(frame.callees.values(), key=lambda callee: callee.name):
        yield from boxes(callee, start=start, depth=depth + 1)
        start += callee.count


def draw(lines: Iterable[str], path: Path, title: str) -> None:
    """Write a PNG. Raises ImportError without matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    root = grow(lines)
    shown = [box for box in boxes(root) if box[2] >= SHARE_MIN * root.count]
    deepest = max(depth for *_, depth in shown)
    figure, axes = pyplot.subplots(figsize=(18, 1 + INCHES_PER_DEPTH * deepest), layout="constrained")
    for name, start, count, depth in shown:
        colour = next((colour for package, colour in COLOURS.items() if name.startswith(package)), OTHERS)
        axes.broken_barh([(start, count)], (depth, 0.9), facecolor=colour, edgecolor="white", linewidth=0.4)
        if count >= LABEL_SHARE_MIN * root.count:
            label = name.rpartition("/")[2]
            axes.text(start, depth + 0.45, f" {label}", fontsize=6, va="center", clip_on=True)
    axes.set(xlim=(0, root.count), ylim=(0, deepest + 1), title=title)
    axes.axis("off")
    figure.savefig(path, dpi=100)
    pyplot.close(figure)
