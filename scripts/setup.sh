# Sourced by scripts/demo and scripts/test: makes .venv and installs the project into it, once.
# Nothing is fetched again while pyproject.toml and constraints.txt stay as they are.

cd "$(dirname "${BASH_SOURCE[0]}")/.."

stamp=".venv/installed-$(cat pyproject.toml constraints.txt scripts/setup.sh | sha256sum | cut -c1-16)"
if [ ! -e "$stamp" ]; then
    python=""
    for candidate in "${PYTHON:-}" python3.11 python3 python python3.12 python3.13; do
        if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            python="$candidate"
            break
        fi
    done
    if [ -z "$python" ]; then
        echo "lutkit needs Python 3.11 or later, which was not found; name one with PYTHON=/path/to/python3" >&2
        exit 2
    fi
    echo "Installing into .venv (a few minutes the first time) ..." >&2
    # On Debian, venv is a package of its own.
    if ! "$python" -m venv .venv; then
        echo "$python -m venv failed; on Debian and Ubuntu: apt-get install python3-venv" >&2
        exit 2
    fi
    # torch first and named exactly: asked for by a range, pip may fetch gigabytes of CUDA packages.
    .venv/bin/python -m pip install --quiet --disable-pip-version-check "$(grep '^torch==' constraints.txt)" -c constraints.txt
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
    rm -f .venv/installed-*
    touch "$stamp"
fi
