"""What notebooks show of kernels and networks: their pictures, where matplotlib is installed."""

import base64
import html
import io
from typing import TYPE_CHECKING, Any

from warpkit.component import inputs_of
from warpkit.kernels.base import Kernel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DOTS = 80  # an inch
_MOST = 4_000_000  # pixels: a larger network is better drawn by `warpkit show --diagram`
# The paper stays white, so that the drawing can be read on a dark page too.
_STYLE = "max-width:100%;background:#fff;border-radius:6px"


def html_of(made: Any) -> str | None:
    """The plot of a kernel or the diagram of a network, as an image inside HTML; None where it cannot be drawn."""
    try:
        figure = _figure(made)
        if figure.get_figwidth() * figure.get_figheight() * _DOTS**2 > _MOST:
            return None
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=_DOTS)
    except Exception:  # no matplotlib, or a stranger's component: who only looks at an object gets its text
        return None
    data = base64.b64encode(file.getvalue()).decode()
    return f'<img alt="{html.escape(type(made).__name__)}" style="{_STYLE}" src="data:image/png;base64,{data}">'


def _figure(made: Any) -> "Figure":
    if isinstance(made, Kernel):
        from warpkit.pictures import kernel_figure

        return kernel_figure(made)
    from warpkit.spec.diagram import diagram

    return diagram(made, inputs_of(made))
