"""The quantized ab plane: bins, histograms over them, rebalancing weights."""
