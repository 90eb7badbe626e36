"""Networks that colorize photographs: trained on the targets of a dataset, applied to photos of any size."""
