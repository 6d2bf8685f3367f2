# SPDX-License-Identifier: BSD-3-Clause
"""Who may include whom: reads the include lines of all C files and prints each offender."""

import re
import subprocess
import sys

ALLOWED = {
    "protocol": {"protocol"},
    "kernels": {"protocol", "kernels"},
    "daemon": {"protocol", "kernels", "daemon"},
    "clients": {"protocol", "clients"},
}
# Libraries that have one home.
HOMES = {"uv.h": "daemon/", "hdf5.h": "daemon/helper/", "omp.h": "daemon/team.c", "nanomsg/": "clients/c/", "llvm-c/": "kernels/compiler/",
         "lz4.h": "daemon/recording/codec", "zstd.h": "daemon/recording/codec", "blosc.h": "daemon/recording/codec"}
PURE = {"protocol/message.h", "protocol/status.h", "protocol/error.h", "protocol/dtype.h", "protocol/bytes.h", "protocol/digest.h"}


def offenders():
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.c", "*.h"], capture_output=True, text=True, check=True).stdout.split()
    for name in files:
        folder = name.split("/")[0]
        if folder not in ALLOWED:
            continue
        for number, line in enumerate(open(name, encoding="utf-8"), 1):
            match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
            if not match:
                continue
            quoted, path = match[1] == '"', match[2]
            if quoted and path.split("/")[0] not in ALLOWED[folder]:
                yield f"{name}:{number}: {folder}/ may not include {path}"
            if name.startswith("daemon/helper/") and path.startswith(("kernels/", "daemon/")) and not path.startswith("daemon/helper/"):
                yield f"{name}:{number}: the helper is a process of its own"
            for library, home in HOMES.items():
                if not quoted and path.startswith(library) and not name.startswith(home):
                    yield f"{name}:{number}: {path} belongs to {home}"
            if folder == "kernels" and path.startswith("protocol/") and path not in PURE - {"protocol/message.h"}:
                yield f"{name}:{number}: kernels take only plain types of protocol/"


found = list(offenders())
print("\n".join(found) or "layers: each folder includes only what it may")
sys.exit(bool(found))
