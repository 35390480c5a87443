"""The native build alone; everything else about the package is in pyproject.toml."""

import glob
import os
from concurrent.futures import ThreadPoolExecutor

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


setup(
    ext_modules=native(),
    cmdclass={"build_ext": BuildInParallel},
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
