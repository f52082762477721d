#!/usr/bin/env bash
# Train and measure some rows of the gallery side by side on one CUDA device, each with its share.
#
#     NITERU_DATA=data tests/bench/gallery/share.sh OUT [SECONDS] [--minutes M]
#
# OUT/runs gets weights and figures; a training that still runs after SECONDS is stopped, and goes on
# by the same command. What a row goes on from is trained first, unless its weights lie in OUT/runs.
# Draw the pictures afterwards, anywhere: python -m tests.bench.gallery ROW.
set -u
out=$1
seconds=${2:-540}
shift 2 || shift $#
mkdir -p "$out/runs" "$out/logs"

# Percent of the machine, and rows one after the other. A network of convolutions fills whatever it
# is given, and without shares each of the many small kernels of a recurrent one waits for it.
lanes=(
  "30 pixelrnn-longer"
  "12 pixelrnn-row-longer"
  "12 draw-longer"
  "23 made-wide pixelcnn-wide"
  "23 pixelcnn-gated-wide"
)

# Shares are kept by the multi-process service; it may run already.
export CUDA_MPS_PIPE_DIRECTORY=$out/mps CUDA_MPS_LOG_DIRECTORY=$out/mps
if command -v nvidia-cuda-mps-control > /dev/null; then
  mkdir -p "$out/mps"
  pgrep -f nvidia-cuda-mps-control > /dev/null || nvidia-cuda-mps-control -d
fi
if ! timeout 40 python3 -c 'import torch; torch.ones(1, device="cuda").item()'; then
  unset CUDA_MPS_PIPE_DIRECTORY CUDA_MPS_LOG_DIRECTORY
  echo "share: no multi-process service; the lanes take turns."
fi

for lane in "${lanes[@]}"; do
  read -r share rows <<< "$lane"
  log=$out/logs/${rows%% *}.log
  (
    export CUDA_MPS_ACTIVE_THREAD_PERCENTAGE=$share
    # shellcheck disable=SC2086 - the rows are words
    timeout --signal=INT --kill-after=15 "$seconds" \
      python3 -m tests.bench.gallery.training $rows --out "$out/runs" "$@"
    # shellcheck disable=SC2086
    python3 -m tests.bench.gallery.measuring $rows --out "$out/runs"
  ) >> "$log" 2>&1 &
done
wait
tail -qn 3 "$out"/logs/*.log
