"""What can be said of images' colours."""
