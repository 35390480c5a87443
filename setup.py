"""The native build, and what the index shows; everything else about the package is in pyproject.toml."""

import glob
import os
import re
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ABI = "0x020a000000000000"  # LibTorch's stable ABI as of 2.10: one binary for every later torch


class BuildInParallel(build_ext):
    """Compiles the files side by side: each instruction set is one."""

    def build_extension(self, ext: Extension) -> None:
        """As setuptools does, but the objects first, in threads."""
        compile_one = self.compiler.compile

        def compile_all(sources: list[str], **options: object) -> list[str]:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                return [made for each in pool.map(lambda one: compile_one([one], **options), sources) for made in each]

        self.compiler.compile = compile_all
        super().build_extension(ext)


def native() -> list[Extension]:
    """The extension; none where torch is not at hand to build against."""
    try:
        from torch.utils.cpp_extension import include_paths, library_paths
    except ImportError:
        return []
    return [
        Extension(
            "warpkit.sampling._native",
            sorted(glob.glob("warpkit/sampling/csrc/*.cpp")),
            depends=sorted(glob.glob("warpkit/sampling/csrc/*.[hi]*")),
            include_dirs=include_paths(),
            library_dirs=library_paths(),
            libraries=["torch", "torch_cpu"],
            define_macros=[("TORCH_TARGET_VERSION", ABI), ("Py_LIMITED_API", "0x030b0000")],
            extra_compile_args=["-std=c++17", "-O3", "-g0", "-fno-math-errno", "-fno-trapping-math", "-Wno-psabi"],
            py_limited_api=True,
            optional=True,  # without a compiler the package works on the reference backend
        )
    ]


def urls(repository: str) -> dict[str, str]:
    """The project's links on the index; none where the repository has no public address yet."""
    if not repository:
        return {}
    pages = {"Documentation": "blob/main/docs/index.md", "Changelog": "blob/main/CHANGELOG.md", "Issues": "issues"}
    return {"Source": repository} | {name: f"{repository}/{page}" for name, page in pages.items()}


def description(readme: str, repository: str, version: str) -> str:
    """The README for the index, which has none of the files it links to: each link leads to this version's file.

    Where the repository has no public address yet, a link is its text alone, and a picture is left out. What stands
    between fences is code and stays.
    """

    def outside(found: re.Match[str]) -> str:
        picture, text, target = found.groups()
        if not repository:
            return "" if picture else text
        return f"{picture}[{text}]({repository}/{'raw' if picture else 'blob'}/v{version}/{target})"

    parts = re.split(r"(^```.*?^```$)", readme, flags=re.MULTILINE | re.DOTALL)
    link = re.compile(r"(!?)\[([^\[\]]*)\]\((?!https?:|#)([^()\s]+)\)")
    return "".join(part if part.startswith("```") else link.sub(outside, part) for part in parts)


data = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
home = data["tool"]["warpkit"]["repository"]

setup(
    long_description=description(Path("README.md").read_text(encoding="utf-8"), home, data["project"]["version"]),
    long_description_content_type="text/markdown",
    project_urls=urls(home),
    ext_modules=native(),
    cmdclass={"build_ext": BuildInParallel},
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
