"""Every text of the pages on which people sign in and decide: English, then simplified Chinese."""

from typing import Final

ACCOUNT_MESSAGES: Final[dict[str, tuple[str, str]]] = {
    # --- signing in and up
    "sign_in": ("Sign in", "登录"),
    "sign_in_for": ("to continue to {app}", "以继续使用 {app}"),
    "sign_up": ("Create an account", "注册账号"),
    "sign_up_instead": ("New here? Create an account", "还没有账号？立即注册"),
    "sign_in_instead": ("Have an account? Sign in", "已有账号？去登录"),
    "name": ("Name", "用户名"),
    "name_hint": ("2 to 40 characters; others may see it.", "2 到 40 个字符，其他人可能会看到。"),
    "password": ("Password", "密码"),
    "password_new": ("New password", "新密码"),
    "password_old": ("Password so far", "当前密码"),
    "password_hint": ("At least 8 characters. A few words are good.", "至少 8 个字符，用几个词组成更好。"),
    "closed_hint": (
        "Accounts here are made by the operator.",
        "本站账号由管理员创建。",
    ),
    # --- what went wrong
    "wrong_password": ("The name or the password is wrong.", "用户名或密码不正确。"),
    "account_disabled": (
        "This account has been disabled. Please ask the operator.",
        "该账号已被停用，请联系管理员。",
    ),
    "too_many": ("Too many attempts. Try again in {wait}.", "尝试次数过多，请在 {wait}后重试。"),
    "wait_seconds": ("{count} s", "{count} 秒"),
    "wait_minutes": ("{count} min", "{count} 分钟"),
    "bad_name": (
        "That can't be a name: it has 2 to 40 letters, digits, signs and single blanks.",
        "用户名不可用：须为 2 到 40 个字母、数字、符号或单个空格。",
    ),
    "name_taken": ("Somebody has this name already.", "该用户名已被使用。"),
    "bad_password": (
        "Take another password: at least 8 characters, and none of the first that would be guessed.",
        "请换一个密码：至少 8 个字符，且不能是容易被猜到的密码。",
    ),
    "stale": (
        "This form had been open for too long, or in another window. Nothing was done; please do it again.",
        "此表单已过期，或曾在其他窗口打开。未执行任何操作，请重试。",
    ),
    # --- consent
    "consent_title": ("{app} asks for access", "{app} 请求访问"),
    "consent_by": ("made by {developer}", "开发者：{developer}"),
    "consent_wants": ("If you allow it, it may:", "若您同意，它将可以："),
    "scope_profile": ("see your name", "查看您的用户名"),
    "scope_works_read": ("see your works, also those that aren't public", "查看您的作品，包括未公开的作品"),
    "scope_works_write": (
        "upload, change and delete works in your name",
        "以您的名义上传、修改和删除作品",
    ),
    "consent_nothing": ("know you again, and nothing else", "识别您的身份，别无其他"),
    "consent_leads": ("Then you are led to {target}.", "随后您将前往 {target}。"),
    "consent_end": ("You can end this at any time in your account.", "您可以随时在账号页面撤销授权。"),
    "allow": ("Allow", "同意"),
    "refuse": ("Refuse", "拒绝"),
    "signed_in_as": ("Signed in as {name}", "当前账号：{name}"),
    "not_you": ("Use another account", "切换账号"),
    # --- a request that can't be answered
    "request_bad": ("This link doesn't work", "链接无效"),
    "request_bad_text": (
        "The app that sent you here made a mistake. You can't be led back to it, because it could be anybody.",
        "引导您来到此处的应用出错了。由于无法确认其身份，不能将您送回。",
    ),
    "request_bad_why": ("For its developer: {why}", "供开发者参考：{why}"),
    # --- devices
    "device_title": ("Sign in a device", "登录设备"),
    "device_text": ("Type the code that the device shows.", "请输入设备上显示的代码。"),
    "device_code": ("Code", "代码"),
    "device_next": ("Continue", "继续"),
    "device_unknown": (
        "No device shows this code, or it has expired. Look at the screen once more.",
        "没有设备显示此代码，或代码已过期。请再核对一次屏幕。",
    ),
    "device_decided": ("This code has been used already.", "该代码已被使用。"),
    "device_check": (
        "Go on only if you see this very code on the device in front of you:",
        "仅当您面前的设备上显示的正是此代码时才继续：",
    ),
    "device_on": ("on {device}", "设备：{device}"),
    "device_id": ("Device ID {id}", "设备 ID：{id}"),
    "ticket_over": ("This QR code is no longer valid", "二维码已失效"),
    "ticket_over_text": (
        "Let the device show a new one, and scan that.",
        "请让设备重新显示二维码，再扫一次。",
    ),
    "device_allowed": ("Done", "已完成"),
    "device_allowed_text": ("The device signs in by itself now.", "设备将自动完成登录。"),
    "device_refused": ("Refused", "已拒绝"),
    "device_refused_text": ("The device gets nothing.", "设备不会获得任何权限。"),
    # --- account
    "account": ("Your account", "我的账号"),
    "account_apps": ("Apps with access", "已授权的应用"),
    "account_apps_none": ("You have given no app access.", "您还没有授权任何应用。"),
    "account_since": ("since {date}", "授权于 {date}"),
    "withdraw": ("Withdraw", "撤销授权"),
    "withdraw_from": ("Withdraw access from {app}", "撤销对 {app} 的授权"),
    "account_sessions": ("Where you are signed in", "登录状态"),
    "account_this": ("This browser", "当前浏览器"),
    "account_seen": ("last used {date}", "最近使用：{date}"),
    "account_unknown_agent": ("A browser", "某个浏览器"),
    "sign_out": ("Sign out", "退出登录"),
    "sign_out_everywhere": ("Sign out everywhere", "退出所有设备"),
    "change_password": ("Change password", "修改密码"),
    "change_password_hint": ("All other browsers are signed out.", "其他浏览器将全部退出登录。"),
    "password_changed": ("Your password has been changed.", "密码已修改。"),
    "withdrawn": ("Access has been withdrawn.", "授权已撤销。"),
}
