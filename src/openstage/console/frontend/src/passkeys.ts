// Passkeys: forms whose field `answer` holds what the browser's authenticator says (Web Authentication, Level 3).
// They are shown only where the browser can do it; a form is sent as any other form is.

interface Descriptor {
  id: string;
  type: PublicKeyCredentialType;
}

interface MakeOptions extends Omit<PublicKeyCredentialCreationOptions, "challenge" | "user" | "excludeCredentials"> {
  challenge: string;
  user: { id: string; name: string; displayName: string };
  excludeCredentials?: Descriptor[];
}

interface UseOptions extends Omit<PublicKeyCredentialRequestOptions, "challenge" | "allowCredentials"> {
  challenge: string;
}

export function bindPasskeys(): void {
  if (!window.PublicKeyCredential) return;
  for (const form of document.querySelectorAll<HTMLFormElement>("form[data-passkey]")) {
    form.hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void ask(form);
    });
  }
}

async function ask(form: HTMLFormElement): Promise<void> {
  const button = form.querySelector("button")!;
  const told = form.querySelector("[role=status]")!;
  button.disabled = true;
  told.textContent = "";
  try {
    const answer = form.dataset.passkey === "create" ? await make(form) : await use(form);
    form.querySelector<HTMLInputElement>("[name=answer]")!.value = JSON.stringify(answer);
    form.submit();
  } catch (error) {
    // Where the person said no, or took too long, browsers don't tell which.
    told.textContent = error instanceof Refused ? error.message : (form.dataset.failed ?? "");
    button.disabled = false;
  }
}

async function make(form: HTMLFormElement): Promise<object> {
  const options = (await optionsFor(form)) as MakeOptions;
  const publicKey: PublicKeyCredentialCreationOptions = {
    ...options,
    challenge: bytes(options.challenge),
    user: { ...options.user, id: bytes(options.user.id) },
    excludeCredentials: (options.excludeCredentials ?? []).map((each) => ({ ...each, id: bytes(each.id) })),
  };
  const credential = (await navigator.credentials.create({ publicKey })) as PublicKeyCredential;
  const response = credential.response as AuthenticatorAttestationResponse;
  return {
    ...named(credential),
    response: { clientDataJSON: text(response.clientDataJSON), attestationObject: text(response.attestationObject) },
  };
}

async function use(form: HTMLFormElement): Promise<object> {
  const options = (await optionsFor(form)) as UseOptions;
  const publicKey: PublicKeyCredentialRequestOptions = {
    ...options,
    challenge: bytes(options.challenge),
    allowCredentials: [], // whichever the person has
  };
  const credential = (await navigator.credentials.get({ publicKey })) as PublicKeyCredential;
  const response = credential.response as AuthenticatorAssertionResponse;
  return {
    ...named(credential),
    response: {
      clientDataJSON: text(response.clientDataJSON),
      authenticatorData: text(response.authenticatorData),
      signature: text(response.signature),
      userHandle: response.userHandle && text(response.userHandle),
    },
  };
}

async function optionsFor(form: HTMLFormElement): Promise<unknown> {
  const fields = new URLSearchParams([...new FormData(form)].map(([name, value]) => [name, String(value)]));
  const reply = await fetch(`${form.getAttribute("action")}/options`, { method: "POST", body: fields });
  const said: unknown = await reply.json();
  if (!reply.ok) throw new Refused((said as { message: string }).message);
  return said;
}

/** The server says why not, in the person's language. */
class Refused extends Error {}

function named(credential: PublicKeyCredential): object {
  return { id: credential.id, rawId: text(credential.rawId), type: credential.type };
}

function bytes(base64url: string): Uint8Array<ArrayBuffer> {
  const base64 = base64url.replace(/-/g, "+").replace(/_/g, "/");
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

function text(buffer: ArrayBuffer): string {
  const base64 = btoa(String.fromCharCode(...new Uint8Array(buffer)));
  return base64.replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}
