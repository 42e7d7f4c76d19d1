"""What Tezos defines: base58check, keys, curves, consensus payloads. Imports nothing of ours."""
