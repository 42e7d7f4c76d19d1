"""Owner of ep0: descriptors, control requests, and the news whether USB is enabled."""
