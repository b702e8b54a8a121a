#!/usr/bin/env bash
# The 650M training step on the GPU of this machine: real tokens/s, MFU and memory, in at most eight minutes.
# Synthetic batches: needs JAX with CUDA, flax, optax, orbax-checkpoint, tokenizers and jaxtyping, no data, grain or tfds.
#
#   bash benchmarks/gpu.sh [FOLDER]        tables on stdout, JSON in FOLDER (default gpu-results)
set -uo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH=. OUT="${1:-gpu-results}" JAX_COMPILATION_CACHE_DIR="${JAX_COMPILATION_CACHE_DIR:-/tmp/protclip_jax_xla}"
END=$((SECONDS + 480))
mkdir -p "$OUT"

step() { # NAME ARGUMENT…
  local name="$1" left=$((END - SECONDS))
  shift
  if [ "$left" -lt 20 ]; then echo "$name: no time left"; return; fi
  echo "== $name"
  timeout "$left" "${PYTHON:-python3}" benchmarks/train_step.py --protein 650m --text base --dtype bfloat16 --cpu_devices 1 \
    --repeats 3 --output "$OUT/$name.json" "$@" || echo "$name: failed or out of time"
}

nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv || true
# 88 records of UniProt's lengths fill 16 rows of 2,048 tokens.
step all_and_mlm --pairs 88 --remat full --variants packed "packed, MLM alone" "packed, shared masked pass"
step whole_batch --pairs 2048 --microbatch_rows 16 --remat full --repeats 2 --variants packed
step dots --pairs 44 --remat dots --variants packed
step cudnn_attention --pairs 44 --remat full --attention cudnn --variants packed
step dense_attention --pairs 44 --remat full --attention dense --variants packed
"${PYTHON:-python3}" benchmarks/attention.py --repeats 3 --dtype bfloat16 --output "$OUT/attention.json" || echo "attention: failed"
