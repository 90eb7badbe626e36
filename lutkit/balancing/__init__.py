"""Networks that balance photographs: trained on pairs, applied to photos of any size."""
