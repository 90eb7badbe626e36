"""`lutkit encode-latents` and `decode-latents`: the VAEs, and readers of latents."""
