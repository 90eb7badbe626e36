"""Networks from image to image, measured from outside: why their colours are wrong."""
