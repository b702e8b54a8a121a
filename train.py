"""Pretrains ProtCLIP: `python train.py --config FILE --workdir DIR`; see protclip_train.py."""

import sys

from protclip_train import main

if __name__ == "__main__":
    sys.exit(main())
