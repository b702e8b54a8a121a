"""Several hosts and devices: who they are, and how arrays are divided over them."""
