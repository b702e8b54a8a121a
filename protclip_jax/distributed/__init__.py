"""Several hosts and devices: joining a cluster, and sharding arrays over a mesh."""
