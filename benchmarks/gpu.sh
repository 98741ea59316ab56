#!/usr/bin/env bash
# The check for the day a GPU is at hand; without one its small form runs on the CPU.
#
#   bash benchmarks/gpu.sh [--only PART,...] [--out FOLDER] [--device auto|cpu|cuda]
#
# PYTHON   the interpreter (.venv/bin/python where there is one, else python3)
set -u
unset CDPATH
cd -P "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
python=${PYTHON:-}
if [ -z "$python" ]; then
    if [ -x .venv/bin/python ]; then python=.venv/bin/python; else python=python3; fi
fi
# Not installed, the package is found from the root of the repository.
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
# What hangs is aborted, so that it says where; a core file of it is of no use.
ulimit -c 0
export PYTHONFAULTHANDLER=1
# Read when torch is loaded: on a busy machine waiting in a loop takes minutes.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-PASSIVE}
exec "$python" -u benchmarks/gpu_check.py "$@"
