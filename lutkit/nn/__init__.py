"""The only room that imports torch: LUTs on tensors."""
