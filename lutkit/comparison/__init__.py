"""`lutkit compare`: what a model did to colours, and which artefacts it makes."""
