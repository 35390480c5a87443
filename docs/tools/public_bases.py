"""An extension for the API reference that names public bases only: a private one gives way to its own."""

from typing import Any

import griffe

PUBLIC = ("", "datasets.", "testing.")  # the modules whose `__all__` readers import from
ORDINARY = ("Module", "ABC", "BaseModel", "object")  # say nothing about what a class is for


class PublicBases(griffe.Extension):
    """Puts what a private base derives from in its place: `Turning(MatrixTransform)` becomes `MatrixTransform`."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """Change the bases of each class of the package, all of which griffe has read by now."""
        public = {str(name).strip("'\"") for module in PUBLIC for name in pkg[f"{module}__all__"].value.elements}
        changed = [(found, public_bases(found, public)) for found in classes(pkg)]
        for found, bases in changed:
            found.bases = bases


def classes(module: griffe.Module) -> list[griffe.Class]:
    """The classes that are written in a module and in those below it."""
    inner = [found for below in module.modules.values() if not below.is_alias for found in classes(below)]
    return [*(found for found in module.classes.values() if not found.is_alias), *inner]


def public_bases(found: griffe.Class, public: set[str]) -> list[Any]:
    """The bases that readers may know, each once."""
    bases: dict[str, Any] = {}
    for base in found.bases:
        name = str(base).rpartition(".")[2]
        parent = base_class(found, base)
        if parent is not None and name not in public:
            bases |= {str(b): b for b in public_bases(parent, public)}
        elif name not in ORDINARY:
            bases[name] = base
    return list(bases.values())


def base_class(found: griffe.Class, base: Any) -> griffe.Class | None:
    """The class that a base names, where it is one of the same package."""
    path = base if isinstance(base, str) else base.canonical_path
    try:
        parent = found.package[path.removeprefix(f"{found.package.name}.")]
    except KeyError:
        return None
    parent = parent.final_target if parent.is_alias else parent
    return parent if isinstance(parent, griffe.Class) else None
