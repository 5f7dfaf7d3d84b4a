import zlib

from forbear.learned.hashing import bucket


def test_a_name_has_one_bucket_everywhere():
    # CRC-32 as in ISO 3309: its check value is that of "123456789".
    assert bucket("123456789") == 0xCBF43926
    assert bucket("☃") == zlib.crc32("☃".encode())


def test_half_a_character_has_one_too():
    assert bucket("\ud800") != bucket("\ud801")
