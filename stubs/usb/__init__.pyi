# Hand-written for pyusb 1.3: only what host/usb.py uses.
