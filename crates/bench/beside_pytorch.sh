#!/usr/bin/env bash
# Network and gradient by the image beside PyTorch, in turns: throughput, PyTorch, throughput.
# Usage: ORT_DYLIB_PATH=… crates/bench/beside_pytorch.sh <python with torch, torchvision, onnx> <path of ../shared>
set -euo pipefail
python=$1
shared=$(realpath "$2")
cd "$(dirname "$0")/../.."
cargo build --release --quiet -p summit-bench --bin throughput
ours() {
  "${CARGO_TARGET_DIR:-target}"/release/throughput --model "$shared/models/bvlc-googlenet.onnx" --gradient --rounds 3
}
ours
"$python" tools/reference/time_torch.py "$shared"
ours
