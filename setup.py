"""Packages that pyproject.toml cannot express: subpackages are found, and two folders ship under another name.

The folders ``templates/`` and ``boards/`` stand at the top for people, and are installed inside the package that reads
them, so that ``importlib.resources`` finds them in a wheel and in an editable installation alike.
"""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["aebert", "aebert.*", "codegen", "codegen.*", "host", "host.*"]),
        "aebert.board_files",
        "codegen.templates",
    ],
    package_dir={"aebert.board_files": "boards", "codegen.templates": "templates"},
)
