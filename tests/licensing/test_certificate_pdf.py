"""What stands on a certificate, and that it is one page whatever stands there."""

from openstage.licensing.certificate_pdf import LONGEST, fit_for_print, typeset
from tests.licensing.papers import ARABIC_TITLE, SHA256, make_facts, qr_of, text_of


def test_everything_of_a_licence_stands_there_in_both_languages() -> None:
    text = text_of(typeset(make_facts()))
    for pair in (
        ("音乐使用授权证书", "Music Licence Certificate"),
        ("证书编号", "Certificate No."),
        ("被授权方", "Licensee"),
        ("授权方", "Licensor"),
        ("购买账户", "Account"),
        ("经办成员", "Member"),
        ("音乐作品", "Track"),
        ("艺术家", "Artist"),
        ("授权范围", "Scope"),
        ("授权费用", "Price"),
        ("购买", "Bought"),
        ("出具", "Issued"),
        ("交付文件", "Delivered file"),
        ("扫码核验", "Scan to verify"),
        ("签名密钥", "Signing key"),
    ):
        assert all(label in text for label in pair), pair
    flat = text.replace(" ", "").replace("\n", "")
    for value in (
        "20261121-K7QF-3M9A-XW",
        "广州汽车集团股份有限公司",
        "云上音乐CloudMusicLtd.",
        "GuangzhouStudio(#10001)",
        "didi(#10002)",
        "彩云之南Beginner'sLuck",
        "Z01803360",
        "ID505947",
        "Duration2:08",
        "全媒体Allmedia",
        "Type:all",
        "CNY812.50",
        "2026-11-2116:41:47(UTC+08:00)",
        "2026-11-2116:42:01(UTC+08:00)",
        "MP3·audio/mpeg·4,512,345",
        SHA256,
        make_facts()["page"],
    ):
        assert value in flat, value
    assert "TEST" not in text


def test_the_same_facts_give_the_same_bytes() -> None:
    assert typeset(make_facts()) == typeset(make_facts())


def test_a_test_purchase_says_that_it_licenses_nothing() -> None:
    text = text_of(typeset(make_facts(test=True)))
    assert "测试购买，不构成任何授权。" in text
    assert "This is a test purchase: it licenses nothing." in text
    assert "TEST" in text


def test_the_longest_texts_in_any_script_fit_on_one_page_with_a_code_that_is_read() -> None:
    facts = make_facts(
        title="夜🎵" * 400,
        artist="Zoë Čeněk " * 100,
        name="W" * 1000,
        account="株式会社ミュージック" * 60,
        member="안녕하세요 " * 100,
        licensor="公司" * 500,
        offer="全媒体授权 " * 100,
        file_format="很" * 250,
        page=f"https://{'a-very-long-name.' * 8}example.com/certificates/{'x' * 32}",
        test=True,
    )
    pdf = typeset(facts)
    assert qr_of(pdf) == facts["page"]
    text = text_of(pdf)
    for last in ("签名密钥", "CNY 812.50", SHA256, "licenses nothing", "Duration 2:08"):
        assert last in text, last


def test_an_arabic_and_an_emoji_title_are_set_with_their_own_letters() -> None:
    """No box in place of a letter: each letter is found in the text of the page, whichever way its line runs."""
    text = text_of(typeset(make_facts(title=f"{ARABIC_TITLE} 🎻 밤 ночь")))
    assert set(f"{ARABIC_TITLE}🎻밤ночь") - {" "} <= set(text)


def test_a_name_is_data_not_markup() -> None:
    text = text_of(
        typeset(make_facts(name='#panic("no") $x$ *bold* [a] \\ #image("/etc/passwd")', title="</svg>&amp;"))
    )
    assert '#panic("no") $x$ *bold* [a]' in text
    assert "</svg>&amp;" in text


def test_what_would_rearrange_a_line_is_not_printed() -> None:
    assert fit_for_print("a\u202eb\u2066c\n\n d\x00\te") == "abc d e"


def test_emoji_of_several_parts_stay_whole() -> None:
    assert fit_for_print("👩‍🎤") == "👩‍🎤"


def test_a_text_that_is_cut_says_so() -> None:
    cut = fit_for_print("夜" * 5000)
    assert len(cut) == LONGEST
    assert cut.endswith("…")
