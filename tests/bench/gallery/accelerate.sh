#!/usr/bin/env bash
# Train and measure the large rows of the gallery side by side on one CUDA device, in lanes.
#
#     NITERU_DATA=data tests/bench/gallery/accelerate.sh OUT [SECONDS] [--minutes M]
#
# OUT/runs gets weights and figures; a training that still runs after SECONDS is stopped, and goes on
# by the same command. Draw the pictures afterwards, anywhere: python -m tests.bench.gallery ROW.
set -u
out=$1
seconds=${2:-500}
shift 2 || shift $#
mkdir -p "$out/runs" "$out/logs"

# Recurrent networks are many small kernels one after the other: they have the machine for themselves
# at first. Those of convolutions fill it.
deep=(
  "pixelrnn-large" "pixelrnn-row-large" "draw-large" "draw-plain-large" "sketch-rnn-large" "srnn-large"
  "sketch-rnn-omniglot-large sketch-rnn-quickdraw-large"
  "gan-wgan-large" "made-large gan-large gan-cramer-large"
)
wide=(
  "pixelcnn-large" "pixelcnn-gated-large" "vlae-large" "pixelvae-large"
  "pixelvae2-large vae-uniform-large" "vae-large info-vae-large"
  "pixelcnn-pp-large pixelcnn-cifar-large" "multiscale-large multiscale-cifar-large"
)
delay=${DELAY:-140}

# Kernels of many processes run at the same time only under the multi-process service.
if command -v nvidia-cuda-mps-control > /dev/null; then
  export CUDA_MPS_PIPE_DIRECTORY=$out/mps CUDA_MPS_LOG_DIRECTORY=$out/mps
  mkdir -p "$CUDA_MPS_PIPE_DIRECTORY"
  nvidia-cuda-mps-control -d
  if ! timeout 40 python3 -c 'import torch; torch.ones(1, device="cuda").item()'; then
    echo quit | timeout 5 nvidia-cuda-mps-control
    unset CUDA_MPS_PIPE_DIRECTORY CUDA_MPS_LOG_DIRECTORY
    echo "accelerate: no multi-process service; the lanes take turns."
  fi
fi

lane() { # SECONDS ROWS [OPTIONS]: trains the rows and measures those that are done
  local limit=$1 rows=$2
  shift 2
  # shellcheck disable=SC2086 - the rows are words
  timeout --signal=INT --kill-after=15 "$limit" \
    python3 -m tests.bench.gallery.training $rows --out "$out/runs" "$@"
  # shellcheck disable=SC2086
  python3 -m tests.bench.gallery.measuring $rows --out "$out/runs"
}

for rows in "${deep[@]}"; do
  lane "$seconds" "$rows" "$@" > "$out/logs/${rows%% *}.log" 2>&1 &
done
sleep "$delay"
export CUDA_MPS_CLIENT_PRIORITY=1 # below the others
for rows in "${wide[@]}"; do
  lane "$((seconds - delay))" "$rows" "$@" > "$out/logs/${rows%% *}.log" 2>&1 &
done
wait
tail -qn 1 "$out"/logs/*.log
