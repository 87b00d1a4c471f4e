"""A secp256k1 key in the encrypted JSON form (Web3 secret storage, version 3) that geth's tools want; password: empty."""

import hashlib
import json
import os
import subprocess


def _rotate(x, n):
    return (x << n | x >> (64 - n)) & (1 << 64) - 1


def _permute(lanes):
    """Keccak-f[1600] on 25 lanes, lanes[x + 5 * y]."""
    register = 1
    for _ in range(24):
        columns = [lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20] for x in range(5)]
        for i in range(25):
            lanes[i] ^= columns[(i + 4) % 5] ^ _rotate(columns[(i + 1) % 5], 1)
        x, y, current = 1, 0, lanes[1]
        for t in range(24):
            x, y = y, (2 * x + 3 * y) % 5
            current, lanes[x + 5 * y] = lanes[x + 5 * y], _rotate(current, (t + 1) * (t + 2) // 2 % 64)
        for row in range(0, 25, 5):
            old = lanes[row : row + 5]
            for x in range(5):
                lanes[row + x] = old[x] ^ ~old[(x + 1) % 5] & old[(x + 2) % 5]
        for j in range(7):
            register = (register << 1 ^ (register >> 7) * 0x71) % 256
            if register & 2:
                lanes[0] ^= 1 << (1 << j) - 1
    return lanes


def keccak256(data):
    rate, lanes = 136, [0] * 25
    data = data + b"\x01" + bytes(rate - 1 - len(data) % rate)
    data = data[:-1] + bytes([data[-1] | 0x80])
    for block in range(0, len(data), rate):
        for i in range(rate // 8):
            lanes[i] ^= int.from_bytes(data[block + 8 * i : block + 8 * i + 8], "little")
        lanes = _permute(lanes)
    return b"".join(lane.to_bytes(8, "little") for lane in lanes[:4])


def write_keystore(path, secret):
    salt, iv = os.urandom(32), os.urandom(16)
    derived = hashlib.scrypt(b"", salt=salt, n=2, r=8, p=1, dklen=32)
    argv = ["openssl", "enc", "-aes-128-ctr", "-K", derived[:16].hex(), "-iv", iv.hex()]
    sealed = subprocess.run(argv, input=secret, capture_output=True, check=True).stdout
    crypto = {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": iv.hex()},
        "ciphertext": sealed.hex(),
        "kdf": "scrypt",
        "kdfparams": {"dklen": 32, "n": 2, "p": 1, "r": 8, "salt": salt.hex()},
        "mac": keccak256(derived[16:] + sealed).hex(),
    }
    path.write_text(json.dumps({"version": 3, "id": "00000000-0000-4000-8000-000000000000", "address": "00" * 20, "crypto": crypto}))
