"""Builds the Cython kernels; everything else about the package is in pyproject.toml."""

import os

import Cython.Compiler.Options
from Cython.Build import cythonize
from setuptools import Extension, setup

# FIRKIN_TRACE=1 builds extensions that coverage and profilers can see into.
trace = os.environ.get("FIRKIN_TRACE") == "1"

# With line tracing every `noexcept` function warns, so warnings are errors in the normal build only.
Cython.Compiler.Options.warning_errors = not trace

setup(
    ext_modules=cythonize(
        [
            Extension(
                "firkin._fast.*",
                ["firkin/_fast/*.pyx"],
                define_macros=[("CYTHON_TRACE_NOGIL", "1")] if trace else [],
                extra_compile_args=["-O2"],
            )
        ],
        force=True,  # directives may have changed, which timestamps cannot show
        annotate=trace,
        show_all_warnings=True,
        compiler_directives={"language_level": 3, "embedsignature": True, "linetrace": trace},
    )
)
