#include <crypto/hkdf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void assert_hex(const uint8_t *p, size_t n, const char *want)
{
    char text[256];

    assert_true(2 * n < sizeof text);
    for (size_t i = 0; i < n; i++) {
        snprintf(text + 2 * i, 3, "%02x", p[i]);
    }
    assert_string_equal(text, want);
}

/* Spec: RFC 4231 sections 4.2, 4.3, 4.7 */
static void hmac_of_the_rfc(void **state)
{
    uint8_t key[131], out[32];

    (void)state;
    memset(key, 0x0b, 20);
    hmac_sha256(view_of(key, 20), view_str("Hi There"), out);
    assert_hex(out, 32, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    hmac_sha256(view_str("Jefe"), view_str("what do ya want for nothing?"), out);
    assert_hex(out, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof key);
    hmac_sha256(view_of(key, sizeof key),
                view_str("Test Using Larger Than Block-Size Key - Hash Key First"), out);
    assert_hex(out, 32, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

/* Spec: RFC 5869 appendix A.1 to A.3 */
static void hkdf_of_the_rfc(void **state)
{
    uint8_t ikm[80], salt[80], info[80], out[82];

    (void)state;
    memset(ikm, 0x0b, 22);
    for (size_t i = 0; i < 80; i++) {
        salt[i] = (uint8_t)i;
        info[i] = (uint8_t)(0xf0 + i);
    }
    hkdf_sha256(view_of(salt, 13), view_of(ikm, 22), view_of(info, 10), out, 42);
    assert_hex(
        out, 42,
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    hkdf_sha256(view_of(NULL, 0), view_of(ikm, 22), view_of(NULL, 0), out, 42);
    assert_hex(
        out, 42,
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
    for (size_t i = 0; i < 80; i++) {
        ikm[i] = (uint8_t)i;
        salt[i] = (uint8_t)(0x60 + i);
        info[i] = (uint8_t)(0xb0 + i);
    }
    hkdf_sha256(view_of(salt, 80), view_of(ikm, 80), view_of(info, 80), out, 82);
    assert_hex(
        out, 82,
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c"
        "65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hmac_of_the_rfc),
        cmocka_unit_test(hkdf_of_the_rfc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
