"""Every text of the public page of a certificate: English, then simplified Chinese."""

from typing import Final

CERTIFICATE_MESSAGES: Final[dict[str, tuple[str, str]]] = {
    "certificate": ("Music licence certificate", "音乐使用授权证书"),
    "certificate_valid": ("This licence is valid", "本授权当前有效"),
    "certificate_valid_more": (
        "The certificate was issued by this server, and the licence holds at this moment.",
        "证书由本服务器出具，授权此刻有效。",
    ),
    "certificate_refunded": ("This licence was refunded", "本授权已退款"),
    "certificate_refunded_more": (
        "The certificate was issued by this server, but the purchase was refunded on {date}: the licence has ended.",
        "证书由本服务器出具，但该购买已于 {date}退款，授权已终止。",
    ),
    "certificate_test": ("This is a test: it licenses nothing", "这是测试购买，不构成授权"),
    "certificate_test_more": (
        "The certificate was issued by this server for a test purchase. Nobody may use the music on its strength.",
        "证书由本服务器为一次测试购买出具，任何人不得据此使用该音乐。",
    ),
    "certificate_number": ("Certificate number", "证书编号"),
    "certificate_licensee": ("Licensee", "被授权方"),
    "certificate_licensor": ("Licensor", "授权方"),
    "certificate_track": ("Track", "音乐作品"),
    "certificate_artist": ("Artist", "艺术家"),
    "certificate_scope": ("Scope", "授权范围"),
    "certificate_bought": ("Bought", "购买时间"),
    "certificate_issued": ("Issued", "出具时间"),
    "certificate_file": ("Delivered file", "交付文件"),
    "certificate_bytes": ("{count} bytes", "{count} 字节"),
    "certificate_file_digest": ("SHA-256 of the delivered file", "交付文件的 SHA-256"),
    "certificate_pdf_digest": ("SHA-256 of the certificate", "证书文件的 SHA-256"),
    "certificate_key": ("Signing key", "签名密钥"),
    "certificate_keys": ("public keys", "公钥列表"),
    "certificate_compare": ("Compare with a file of yours", "与您的文件比对"),
    "certificate_compare_more": (
        "Choose or drop the certificate (PDF) or the music. Your browser compares it: nothing is uploaded.",
        "选择或拖入您收到的证书（PDF）或音乐文件。比对在浏览器中完成，不会上传任何内容。",
    ),
    "certificate_choose": ("Choose a file, or drop it here", "选择文件，或拖到此处"),
    "certificate_same_pdf": (
        "This is the certificate, byte for byte.",
        "该文件与本证书逐字节一致。",
    ),
    "certificate_same_file": (
        "This is the delivered file, byte for byte.",
        "该文件与交付文件逐字节一致。",
    ),
    "certificate_other": (
        "This is neither the certificate nor the delivered file: it is another file, or it was changed.",
        "该文件既不是本证书，也不是交付文件：它是其他文件，或已被改动。",
    ),
    "certificate_comparing": ("Comparing …", "比对中…"),
    "certificate_too_large": (
        "This file is too large for a browser: compute its SHA-256 otherwise.",
        "文件过大，浏览器无法处理，请用其他方式计算 SHA-256。",
    ),
    "certificate_insecure": (
        "Browsers compare files only on pages that come over https: compute the SHA-256 otherwise.",
        "浏览器仅在 https 页面上提供比对功能，请用其他方式计算 SHA-256。",
    ),
    "certificate_unreadable": ("The file could not be read.", "无法读取该文件。"),
    "certificate_unknown": ("There is no certificate at this address", "此地址没有证书"),
    "certificate_unknown_more": (
        "Scan the code again, or compare the address. If it stays so, this server never issued that certificate.",
        "请与纸面上的地址核对，或重新扫码。如果仍然如此，说明本服务器从未出具过该证书。",
    ),
}
