// SPDX-License-Identifier: Apache-2.0
/*
 * Makes LUKS containers (LUKS On-Disk Format Specification 1.2.3; LUKS2 On-Disk Format
 * Specification 1.1). Big endian.
 *
 *     v=1|2  size=1M (of the payload, all zeros: noise once decrypted)
 * v=1: cipher-name=TEXT  cipher-mode=TEXT  hash-spec=TEXT  FIELD=value
 *     key-slot-1.FIELD=value ... key-slot-8.FIELD=value
 * v=2: segment=TEXT (the object of segment 0)  json=TEXT (all of the JSON area)
 *     offset=1M  area=16K (of each header with its JSON area)  csum_alg=TEXT  label=TEXT
 * FIELD=value (both headers) head.FIELD=value  copy.FIELD=value  head.json=TEXT  copy.json=TEXT
 *
 * The passphrase of version 1 is "x", in the first slot, so that qemu-img opens it. Checksums of
 * version 2 are computed last, and poke= does not change them.
 */
#include "maker.h"

#include <stdio.h>
#include <string.h>

enum {
    SECTOR = 512,
    LUKS1_BYTES = 592,
    LUKS2_BYTES = 4096,
    LUKS2_CSUM = 448,
    KEY_SLOTS = 208,
    KEY_SLOT_BYTES = 48,
    KEY_BYTES = 16,
    KEY_MATERIAL_BYTES = 4000 * KEY_BYTES,
    SLOT_SECTORS = 128,
    PAYLOAD_SECTORS = 8 + 8 * SLOT_SECTORS,
    HDR_SIZE_MAX = 4 << 20,
};

static const struct maker_field luks1_fields[] = {
    {"version", 6, 2, '>'},
    {"payload-offset", 104, 4, '>'},
    {"key-bytes", 108, 4, '>'},
    {"mk-digest-iter", 164, 4, '>'},
    {0},
};

static const struct maker_field slot_fields[] = {
    {"active", 0, 4, '>'},
    {"iterations", 4, 4, '>'},
    {"key-material-offset", 40, 4, '>'},
    {"stripes", 44, 4, '>'},
    {0},
};

static const struct maker_field luks2_fields[] = {
    {"version", 6, 2, '>'}, {"hdr_size", 8, 8, '>'},     {"seqid", 16, 8, '>'},
    {"csum", 448, 8, '>'},  {"hdr_offset", 256, 8, '>'}, {0},
};

/* Text fills its field; a shorter one is filled up with zeros. */
static void put_text(uint8_t *header, size_t offset, size_t length, const char *text)
{
    if (strlen(text) > length)
        maker_die("'%s' is longer than %zu bytes", text, length);
    memset(header + offset, 0, length);
    memcpy(header + offset, text, strlen(text));
}

/*
 * The first slot holds the master key 01 02 ... 10 under the passphrase "x", with salts of 0xd1 (of
 * the digest) and 0x51 (of the slot), 1000 iterations each, aes-cbc-plain64 and sha256. Its stripes
 * are those whose ciphertext is zeros; the last one, which makes the key of them, and the digest
 * were computed once by the specification's own algorithms.
 */
static const uint8_t last_stripe[KEY_BYTES] = {0x2f, 0xc5, 0x65, 0x11, 0x3d, 0xaa, 0x8a, 0xf8,
                                               0x19, 0x7a, 0x82, 0x66, 0x7d, 0xa8, 0x95, 0x9d};
static const uint8_t mk_digest[20] = {0xec, 0x4e, 0x05, 0xe0, 0x0d, 0xde, 0xc7, 0x38, 0x11, 0xa3,
                                      0xf9, 0x48, 0x33, 0x79, 0x39, 0x90, 0xbe, 0x03, 0x7a, 0xa1};

static void put_key_slots(struct maker *m, uint8_t *header)
{
    for (unsigned i = 0; i < 8; i++) {
        uint8_t *slot = header + KEY_SLOTS + i * KEY_SLOT_BYTES;
        char prefix[] = "key-slot-1";

        maker_put(slot, 0, 4, '>', i ? 0x0000dead : 0x00ac71f3);
        maker_put(slot, 4, 4, '>', i ? 0 : 1000);
        memset(slot + 8, i ? 0 : 0x51, 32);
        maker_put(slot, 40, 4, '>', 8 + i * SLOT_SECTORS);
        maker_put(slot, 44, 4, '>', 4000);
        prefix[9] = (char)('1' + i);
        maker_fields(m, prefix, slot_fields, slot, NULL);
    }
}

static void make_luks1(struct maker *m)
{
    uint8_t header[LUKS1_BYTES] = "LUKS\xba\xbe";

    maker_put(header, 6, 2, '>', 1);
    put_text(header, 8, 32, maker_string(m, "cipher-name", "aes"));
    put_text(header, 40, 32, maker_string(m, "cipher-mode", "cbc-plain64"));
    put_text(header, 72, 32, maker_string(m, "hash-spec", "sha256"));
    maker_put(header, 104, 4, '>', PAYLOAD_SECTORS);
    maker_put(header, 108, 4, '>', KEY_BYTES);
    memcpy(header + 112, mk_digest, sizeof mk_digest);
    memset(header + 132, 0xd1, 32);
    maker_put(header, 164, 4, '>', 1000);
    put_text(header, 168, 40, "6c756b73-0000-4000-8000-000000000001");
    put_key_slots(m, header);
    maker_fields(m, "", luks1_fields, header, NULL);
    maker_write(m, 0, header, sizeof header);
    maker_write(m, 8 * SECTOR + KEY_MATERIAL_BYTES - KEY_BYTES, last_stripe, sizeof last_stripe);
    maker_extend(m, PAYLOAD_SECTORS * SECTOR + maker_number(m, "size", 1 << 20));
}

/* SHA-256 (FIPS 180-4). */
static uint32_t rotate(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

static void sha256_block(uint32_t hash[8], const uint8_t *block)
{
    static const uint32_t k[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
        0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
        0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
        0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
        0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
        0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
        0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
        0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
        0xc67178f2};
    uint32_t w[64], v[8];

    for (unsigned i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (unsigned i = 16; i < 64; i++)
        w[i] = w[i - 16] + w[i - 7] +
               (rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3) +
               (rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10);
    memcpy(v, hash, sizeof v);
    for (unsigned i = 0; i < 64; i++) {
        uint32_t t = v[7] + (rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25)) +
                     ((v[4] & v[5]) ^ (~v[4] & v[6])) + k[i] + w[i];
        uint32_t u = (rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22)) +
                     ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));

        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += t;
        v[0] = t + u;
    }
    for (unsigned i = 0; i < 8; i++)
        hash[i] += v[i];
}

/* Of length bytes, a multiple of 64. */
static void sha256(const uint8_t *bytes, size_t length, uint8_t *sum)
{
    uint32_t hash[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    uint8_t end[64] = {0x80};

    for (size_t i = 0; i < length; i += 64)
        sha256_block(hash, bytes + i);
    maker_put(end, 56, 8, '>', 8 * (uint64_t)length);
    sha256_block(hash, end);
    for (uint32_t i = 0; i < 8; i++)
        maker_put(sum, 4 * i, 4, '>', hash[i]);
}

/* The JSON area, as cryptsetup writes it but for the key slots, which are not looked at. */
static const char *make_json(struct maker *m, const char *key, uint64_t hdr_size)
{
    static char text[2048];
    const char *segment = maker_string(m, "segment", NULL);
    char usual[256];

    snprintf(usual, sizeof usual,
             "{\"type\":\"crypt\",\"offset\":\"%llu\",\"size\":\"dynamic\",\"iv_tweak\":\"0\","
             "\"encryption\":\"aes-xts-plain64\",\"sector_size\":512}",
             (unsigned long long)maker_number(m, "offset", 1 << 20));
    snprintf(text, sizeof text,
             "{\"keyslots\":{},\"tokens\":{},\"segments\":{\"0\":%s},\"digests\":{},"
             "\"config\":{\"json_size\":\"%llu\",\"keyslots_size\":\"%llu\"}}",
             segment ? segment : usual, (unsigned long long)(hdr_size - LUKS2_BYTES),
             (unsigned long long)(maker_number(m, "offset", 1 << 20) - 2 * hdr_size));
    return maker_string(m, key, maker_string(m, "json", text));
}

static void write_luks2_header(struct maker *m, const char *prefix, uint64_t hdr_size,
                               uint64_t offset)
{
    static uint8_t area[HDR_SIZE_MAX];
    char key[32];
    const char *json;
    bool given;

    memset(area, 0, sizeof area);
    memcpy(area, offset ? "SKUL\xba\xbe" : "LUKS\xba\xbe", 6);
    maker_put(area, 6, 2, '>', 2);
    maker_put(area, 8, 8, '>', hdr_size);
    maker_put(area, 16, 8, '>', 3);
    put_text(area, 24, 48, maker_string(m, "label", "a label"));
    put_text(area, 72, 32, maker_string(m, "csum_alg", "sha256"));
    memset(area + 104, offset ? 0x52 : 0x51, 64);
    put_text(area, 168, 40, "6c756b73-0000-4000-8000-000000000002");
    maker_put(area, 256, 8, '>', offset);
    snprintf(key, sizeof key, "%s.json", prefix);
    json = make_json(m, key, hdr_size);
    if (strlen(json) > hdr_size - LUKS2_BYTES)
        maker_die("the JSON text is longer than its area");
    memcpy(area + LUKS2_BYTES, json, strlen(json));
    given = maker_fields(m, "", luks2_fields, area, "csum");
    given |= maker_fields(m, prefix, luks2_fields, area, "csum");
    if (!given)
        sha256(area, hdr_size, area + LUKS2_CSUM);
    maker_write(m, offset, area, hdr_size);
}

static void make_luks2(struct maker *m)
{
    uint64_t hdr_size = maker_number(m, "area", 16 << 10);

    if (hdr_size < LUKS2_BYTES || hdr_size > HDR_SIZE_MAX)
        maker_die("area: a header takes 4K to 4M");
    write_luks2_header(m, "head", hdr_size, 0);
    write_luks2_header(m, "copy", hdr_size, hdr_size);
    maker_extend(m, maker_number(m, "offset", 1 << 20) + maker_number(m, "size", 1 << 20));
}

void make_luks(struct maker *m)
{
    if (maker_number(m, "v", 1) == 2)
        make_luks2(m);
    else
        make_luks1(m);
}
