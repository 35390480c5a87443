"""From what people hold in pixels (matrices, degrees, boxes, pairs of points) to θ, and back.

A matrix here moves pixels of the input to pixels of the output, x before y, and the first pixel's centre is 0, 0: as in
OpenCV and kornia. scikit-image's `warp` and SciPy's `affine_transform` take the inverse (SciPy's goes z, y, x);
Pillow's `transform` takes the inverse, too, and its pixels have their corners at whole numbers.
"""

from warpkit.pixels.canvas import bounds
from warpkit.pixels.fits import fit
from warpkit.pixels.matrices import affine, crop, rotation
from warpkit.pixels.thetas import from_theta, to_theta

__all__ = ["affine", "bounds", "crop", "fit", "from_theta", "rotation", "to_theta"]
