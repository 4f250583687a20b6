"""PNG files and loss curves."""

import io

import numpy as np

from selfsup.common import files
from selfsup.common.png_file import save_png


def save_overview(path, curves, details, height=420):
    """Puts curves above a row of detail pictures, each cut to the row's height.

    Args:
      path: of the PNG.
      curves, details: paths of PNGs.
      height: of the row, in pixels of the curves.
    """
    from PIL import Image

    top = Image.open(curves).convert("RGB")
    width = top.width // len(details)
    sheet = Image.new("RGB", (top.width, top.height + height), "white")
    sheet.paste(top, (0, 0))
    for column, detail in enumerate(details):
        picture = Image.open(detail).convert("RGB")
        scale = min(1.0, (width - 16) / picture.width)
        size = (round(picture.width * scale), round(picture.height * scale))
        picture = picture.resize(size, Image.LANCZOS).crop((0, 0, width - 16, height))
        shown = picture.crop((0, 0, min(size[0], width - 16), min(size[1], height)))
        sheet.paste(shown, (column * width + (width - shown.width) // 2, top.height))
    save_png(path, np.asarray(sheet))


def save_curves(path, rows, specs):
    """Draws each task's headline metric and loss over its steps, against chance.

    Args:
      path: of the PNG.
      rows: of `history.read`.
      specs: headline `Metric` by task name.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        2, len(specs), figsize=(3.6 * len(specs), 5.2), squeeze=False
    )
    for column, (name, spec) in enumerate(specs.items()):
        for row, scalar in enumerate((spec.name, "loss")):
            _curve(axes[row][column], rows, name, scalar)
        axes[0][column].set_title(name.replace("_", " "))
        axes[1][column].set_xlabel("step")
    axes[0][-1].legend(fontsize=8)
    figure.tight_layout()
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    pyplot.close(figure)
    files.write_atomically(path, content.getvalue())


def _curve(axis, rows, task, scalar):
    for split, style in (("train", "-"), ("validation", "o--")):
        found = [
            row
            for row in rows
            if (row["task"], row["split"]) == (task, split) and scalar in row
        ]
        steps, values = [row["step"] for row in found], [row[scalar] for row in found]
        axis.plot(steps, values, style, markersize=3, label=split)
        key = f"chance/{scalar}"
        if found and key in found[0]:
            chance = np.mean([row[key] for row in found])
            color = axis.lines[-1].get_color()
            label = f"chance, {split}"
            axis.axhline(chance, color=color, linestyle=":", label=label)
    axis.set_ylabel(scalar)
