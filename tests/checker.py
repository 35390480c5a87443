"""Type hints as Python's typing rules read them: an int is a float. A wrong word is for our own error to tell."""

import typing

from beartype import BeartypeConf, FrozenDict, beartype

WORDS = (
    typing.Literal["zeros", "border", "reflection", "wrap", "none"],
    typing.Literal["normalized", "pixels"],
    typing.Literal["translation", "euclidean", "similarity", "affine", "projective"],
    typing.Literal["mse", "ncc"],
    typing.Literal["bending", "diffusion"],
)
check = beartype(conf=BeartypeConf(is_pep484_tower=True, hint_overrides=FrozenDict(dict.fromkeys(WORDS, str))))
