"""A program of its own that reads digitStruct.mat and writes an .npz to the standard output.

HDF5's library may read and write out of bounds where a damaged file leads it: that ends this process and no other. Once
the file is open, the process can open nothing else, whatever a file links to, and its memory is limited.

MATLAB 7.3 is HDF5: a struct array is a group of fields, and a field of several elements one of references.
"""

import io
import sys
from typing import Any

import numpy as np

IMAGES, DIGITS, LETTERS = 300_000, 64, 64  # more than SVHN has: of images, of digits of one, of letters of its name
_FIELDS = ("left", "top", "width", "height", "label")
_MEMORY, _SECONDS = 4 * 2**30, 3600  # the largest file takes minutes


def _main(path: str) -> None:
    import resource

    import h5py  # type: ignore[import-untyped]

    def limit(kind: int, most: int) -> None:
        hard = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))

    limit(resource.RLIMIT_AS, _MEMORY)
    limit(resource.RLIMIT_CPU, _SECONDS)
    with h5py.File(path, "r") as root:
        limit(resource.RLIMIT_NOFILE, 0)

        def values(node: Any, most: int) -> list[Any]:
            if node.size > most:
                raise ValueError(f"{node.size} values, expected at most {most}")
            return list(node[()].ravel())

        def elements(node: Any, most: int) -> list[Any]:
            many = isinstance(node, h5py.Dataset) and h5py.check_ref_dtype(node.dtype)
            return [root[reference] for reference in values(node, most)] if many else [node]

        def numbers(box: Any) -> np.ndarray:
            fields = [
                [number for each in elements(box[field], DIGITS) for number in values(each, 1)] for field in _FIELDS
            ]
            return np.array(fields, np.float32)  # [5, digits]; an error where they are not equally many

        names = ["".join(map(chr, values(name, LETTERS))) for name in elements(root["digitStruct/name"], IMAGES)]
        digits = [numbers(box) for box in elements(root["digitStruct/bbox"], IMAGES)]
    limit(resource.RLIMIT_NOFILE, 64)  # for what NumPy imports only now
    kept = io.BytesIO()
    counts = np.array([number.shape[1] for number in digits], np.int64)
    np.savez_compressed(kept, names=np.array(names), counts=counts, digits=np.concatenate(digits, 1))
    sys.stdout.buffer.write(kept.getvalue())


if __name__ == "__main__":
    try:
        _main(sys.argv[1])
    except Exception as error:  # h5py raises what HDF5 stumbles over
        sys.exit(f"{type(error).__name__}: {error}")
