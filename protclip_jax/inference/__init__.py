"""A loaded checkpoint: `ProtCLIP`."""
