"""Medical images for warpkit: NIfTI volumes, displacement fields and ITK transforms, from files and into them.

Millimetres are ITK's and DICOM's: x runs to the patient's left, y to the back, z to the head (LPS). What this package
reads is what SimpleITK reads of the same file.
"""

from warpkit_medical.fields import read_field, write_field
from warpkit_medical.images import read_image, write_image
from warpkit_medical.transforms import read_transform, write_transform

__all__ = ["read_field", "read_image", "read_transform", "write_field", "write_image", "write_transform"]
