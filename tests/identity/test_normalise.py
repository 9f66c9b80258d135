import pytest

from changke.kernel.errors import Refusal, RefusalCode
from changke.modules.identity.rules_values import masked, normalise, normalised
from changke.modules.identity.terms import (
    BAD_CHARACTER,
    BAD_EMAIL,
    BAD_IDENTIFIER,
    BAD_PHONE,
    NAMESPACES,
    PLACEHOLDER,
    UNKNOWN_NAMESPACE,
)

CHEN = "+8613812345678"


@pytest.mark.parametrize(
    "written",
    [
        "13812345678",
        "138 1234 5678",
        "138-1234-5678",
        "+86 138 1234 5678",
        "+86-138-1234-5678",
        "(+86) 13812345678",
        "0086 13812345678",
        "8613812345678",
        "１３８１２３４５６７８",
        "＋８６ １３８－１２３４－５６７８",
        "138\u20111234\u20115678",
        "  13812345678\t",
        "138\u30001234\u30005678",
        "١٣٨١٢٣٤٥٦٧٨",
    ],
)
def test_every_way_to_write_a_chinese_mobile_is_one_number(written):
    assert normalise("phone", written) == CHEN


@pytest.mark.parametrize(
    ("written", "region", "number"),
    [
        ("010-6512 3456", "CN", "+861065123456"),
        ("+1 (212) 736-5000", "CN", "+12127365000"),
        ("212-736-5000", "US", "+12127365000"),
        ("+852 9123 4567", "CN", "+85291234567"),
        ("030 901820", "DE", "+4930901820"),
    ],
)
def test_phones_of_other_places(written, region, number):
    assert normalise("phone", written, region) == number


@pytest.mark.parametrize(
    ("namespace", "written", "why"),
    [
        ("phone", "138****5678", BAD_PHONE),
        ("phone", "12345", BAD_PHONE),
        ("phone", "23812345678", BAD_PHONE),
        ("phone", "1381234567", BAD_PHONE),
        ("phone", "138123456789", BAD_PHONE),
        ("phone", "+99913812345678", BAD_PHONE),
        ("phone", "call me", BAD_PHONE),
        ("phone", "138１", BAD_PHONE),
        ("phone", "1" * 300, BAD_IDENTIFIER),
        ("phone", "13812345678\x00", BAD_CHARACTER),
        ("phone", "\u202a13812345678\u202c", BAD_CHARACTER),
        ("phone", "1381234567🙂", BAD_CHARACTER),
        ("phone", "13800000000", PLACEHOLDER),
        ("phone", "000-0000-0000", PLACEHOLDER),
        ("phone", "+1 212 555 0123", PLACEHOLDER),
        ("email", "anna", BAD_EMAIL),
        ("email", "anna@localhost", BAD_EMAIL),
        ("email", "anna@@example.com", BAD_EMAIL),
        ("email", "anna b@example.com", BAD_EMAIL),
        ("email", ".anna@example.com", BAD_EMAIL),
        ("email", "an..na@example.com", BAD_EMAIL),
        ("email", "anna@-example.com", BAD_EMAIL),
        ("email", "a" * 65 + "@example.com", BAD_EMAIL),
        ("email", "anna\u202e@example.com", BAD_CHARACTER),
        ("email", "an\x00na@example.com", BAD_CHARACTER),
        ("email", "👩\u200d👩\u200d👧@example.com", BAD_CHARACTER),
        ("email", "noreply\ufffd@example.com", BAD_CHARACTER),
        ("card_number", "!", BAD_IDENTIFIER),
        ("card_number", "=1+1", BAD_IDENTIFIER),
        ("card_number", "C" * 65, BAD_IDENTIFIER),
        ("wechat_openid", "oABC", BAD_IDENTIFIER),
        ("wechat_openid", "wx1:", PLACEHOLDER),
        ("wechat_openid", "wx1:null", PLACEHOLDER),
        ("device", "a\nb", BAD_IDENTIFIER),
        ("device", "00000000-0000-0000-0000-000000000000", PLACEHOLDER),
        ("anonymous_id", "\ud83d", BAD_CHARACTER),
        ("app_account", "", PLACEHOLDER),
        ("app_account", "   ", PLACEHOLDER),
        ("app_account", "-1", PLACEHOLDER),
        ("app_account", "NULL", PLACEHOLDER),
        ("app_account", "undefined", PLACEHOLDER),
        ("app_account", "Anonymous", PLACEHOLDER),
        ("app_account", "ｎｕｌｌ", PLACEHOLDER),
        ("app_account", "游客", PLACEHOLDER),
        ("passport", "X1", UNKNOWN_NAMESPACE),
        ("external", "X1", UNKNOWN_NAMESPACE),
        ("external:", "X1", UNKNOWN_NAMESPACE),
        ("external:Shop ify", "X1", UNKNOWN_NAMESPACE),
        ("phone:cn", "13812345678", UNKNOWN_NAMESPACE),
    ],
)
def test_what_cannot_be_an_identifier_is_refused_with_its_reason(namespace, written, why):
    assert normalise(namespace, written) == why


@pytest.mark.parametrize(
    ("namespace", "written", "spelling"),
    [
        ("email", " Anna.Z@Example.COM ", "anna.z@example.com"),
        ("email", "ａｎｎａ＠ｅｘａｍｐｌｅ．ｃｏｍ", "anna@example.com"),
        ("email", "用户@例子.公司", "用户@例子.公司"),
        ("card_number", "6225 0000-1111", "622500001111"),
        ("card_number", "ｃ１００", "C100"),
        ("card_number", "0012", "0012"),
        ("app_account", "Anna_01", "Anna_01"),
        ("app_account", "王小明", "王小明"),
        ("device", "AEBE52E7-03EE-455A-B3C4-E57283966239", "aebe52e7-03ee-455a-b3c4-e57283966239"),
        ("wechat_openid", "wxd930ea5d5a258f4f:oYq1Z5abcDEF", "wxd930ea5d5a258f4f:oYq1Z5abcDEF"),
        ("external:crm", "A-17", "A-17"),
        ("household_id", "2375", "2375"),
    ],
)
def test_one_spelling(namespace, written, spelling):
    assert normalise(namespace, written) == spelling
    assert normalise(namespace, spelling) == spelling


def test_refusals_speak_both_languages_and_never_repeat_the_value():
    with pytest.raises(Refusal) as refused:
        normalised("phone", "138****5678", field="identifiers[0].value")
    for locale, word in (("en", "telephone"), ("zh-CN", "电话")):
        said = refused.value.problem(locale)
        assert word in said["detail"]
        assert "identifiers[0].value" in said["detail"]
        assert "5678" not in str(said)


@pytest.mark.parametrize(
    ("namespace", "value", "shown"),
    [
        ("phone", CHEN, "138****5678"),
        ("phone", "+12127365000", "+12****5000"),
        ("email", "anna@example.com", "a***@example.com"),
        ("card_number", "622500001111", "****1111"),
        ("card_number", "C1", "****"),
        ("external:crm", "A-17-0001", "****0001"),
    ],
)
def test_staff_see_masked_values(namespace, value, shown):
    assert masked(namespace, value) == shown


def test_every_kind_has_a_name_in_both_languages():
    for kind in NAMESPACES:
        assert kind.text.en
        assert any("\u4e00" <= sign <= "\u9fff" for sign in kind.text.zh)
        assert isinstance(normalise(kind.code, "\x00"), RefusalCode)
