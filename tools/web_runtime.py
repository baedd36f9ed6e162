"""Renew the runtime that runs networks in the browser: LiteRT.js, unpacked from npm packages.

    python -m tools.web_runtime            of the version that is kept
    python -m tools.web_runtime 2.5.3      of another
    python -m tools.web_runtime --check    compare the kept files with their checksums

One of the runtime's four builds is kept, the one that needs no optional instruction of the
processor: it runs in every browser. Two things are changed: one module is imported by its path
instead of its package's name, and the WebAssembly file is compressed.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNTIME = ROOT / "leukhelpers" / "web" / "runtime"
ABOUT = RUNTIME / "runtime.json"
BUILD = "litert_wasm_compat_internal"


def main(arguments: list[str]) -> int:
    if arguments == ["--check"]:
        print("\n".join(faults()) or f"{RUNTIME.name}: as published", file=sys.stderr)
        return int(bool(faults()))
    about = json.loads(ABOUT.read_text("utf-8")) if ABOUT.is_file() else {}
    version = arguments[0] if arguments else about["version"]
    core, utils = unpack("@litertjs/core", version), unpack("@litertjs/wasm-utils", version)
    module = core["dist/index.js"].replace(b'"@litertjs/wasm-utils"', b'"./wasm-utils.js"')
    kept = {
        "litert.js": without_map(module),
        "wasm-utils.js": without_map(utils["dist/index.js"]),
        f"{BUILD}.js": core[f"wasm/{BUILD}.js"],
        f"{BUILD}.wasm.gz": gzip.compress(core[f"wasm/{BUILD}.wasm"], 9, mtime=0),
    }
    for name, content in kept.items():
        (RUNTIME / name).write_bytes(content)
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in kept.items()}
    packages = [f"{name}@{version}" for name in ("@litertjs/core", "@litertjs/wasm-utils")]
    about = {"version": version, "npm": packages, "license": "Apache-2.0", "sha256": sums}
    ABOUT.write_text(json.dumps(about, indent=2) + "\n", "utf-8")
    return 0


def unpack(package: str, version: str) -> dict[str, bytes]:
    """Fetch a package by npm, and read its files."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", f"{package}@{version}"]
        name = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
        content = (Path(folder) / name.stdout.split()[-1]).read_bytes()
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        members = [member for member in archive if member.isfile()]
        read = {member.name: archive.extractfile(member).read() for member in members}
    return {name.partition("/")[2]: content for name, content in read.items()}


def without_map(module: bytes) -> bytes:
    """Cut off the line that names a source map, which is not kept."""
    return module.partition(b"//# sourceMappingURL")[0]


def faults() -> list[str]:
    """List the kept files that are not those of the checksums."""
    sums = json.loads(ABOUT.read_text("utf-8"))["sha256"]
    return [
        f"{name} was changed"
        for name, digest in sums.items()
        if hashlib.sha256((RUNTIME / name).read_bytes()).hexdigest() != digest
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
