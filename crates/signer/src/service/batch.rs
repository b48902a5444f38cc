use std::borrow::Cow;

use chancery_pki::UnixTime;

use super::{Service, answer};
use crate::SignerError;
use crate::failpoint::failpoint;
use crate::journal::{Entry, IssuerKeyId, Signature};
use crate::keys::Keyring;
use crate::protocol::{Answer, Refusal, Signed};

/// A request that passed every check: its intent, and what to sign once that is durable.
#[derive(Debug)]
pub(crate) struct Permitted<'a> {
    pub(crate) issuer: IssuerKeyId,
    pub(crate) intent: Entry,
    /// Given for a CRL, whose intent holds only a digest; a leaf's intent holds the bytes.
    pub(crate) crl_tbs: Option<&'a [u8]>,
}

/// An intent in the journal that waits for its signature.
#[derive(Debug)]
struct Waiting<'a> {
    id: u64,
    sequence: u64,
    issuer: IssuerKeyId,
    tbs: Cow<'a, [u8]>,
    of_crl: bool,
}

/// The signing requests of one round.
#[derive(Debug, Default)]
pub(crate) struct Batch<'a>(Vec<Waiting<'a>>);

impl Service {
    /// Appends the intent of a request that passed, or answers one that did not. From here on its serial or CRL number is used.
    pub(crate) fn admit<'a>(
        &mut self,
        now: UnixTime,
        id: u64,
        checked: Result<Permitted<'a>, Refusal>,
        batch: &mut Batch<'a>,
        answers: &mut Vec<u8>,
    ) -> Result<(), SignerError> {
        let permitted = match checked {
            Ok(permitted) => permitted,
            Err(refusal) => {
                tracing::info!(id, %refusal, "refused to sign");
                answer(answers, id, &Answer::Refused(refusal));
                return Ok(());
            }
        };
        failpoint("before-intent");
        let sequence = self.journal.append(now, &permitted.intent)?;
        let (tbs, of_crl) = match (permitted.intent, permitted.crl_tbs) {
            (Entry::Intent(intent), _) => (Cow::Owned(intent.tbs), false),
            (_, tbs) => (Cow::Borrowed(tbs.unwrap_or_default()), true),
        };
        batch.0.push(Waiting {
            id,
            sequence,
            issuer: permitted.issuer,
            tbs,
            of_crl,
        });
        Ok(())
    }

    /// Makes the intents durable, signs, and answers. The signatures become durable with the next sync.
    pub(crate) fn sign(
        &mut self,
        now: UnixTime,
        batch: Batch<'_>,
        answers: &mut Vec<u8>,
    ) -> Result<(), SignerError> {
        if batch.0.is_empty() {
            return Ok(());
        }
        self.journal.flush()?;
        failpoint("after-intent-appended");
        self.journal.sync()?;
        failpoint("after-intent-synced");
        for waiting in batch.0 {
            let signature = sign_one(self.keys.as_ref(), &waiting);
            failpoint("after-signed");
            let reply = match signature {
                Err(refusal) => Answer::Refused(refusal),
                Ok(signature) => {
                    let entry = Signature {
                        intent: waiting.sequence,
                        signature,
                    };
                    let entry = match waiting.of_crl {
                        true => Entry::CrlSignature(entry),
                        false => Entry::Signature(entry),
                    };
                    self.journal.append(now, &entry)?;
                    let (Entry::CrlSignature(entry) | Entry::Signature(entry)) = entry else {
                        continue;
                    };
                    Answer::Signed(Signed {
                        sequence: entry.intent,
                        signature: entry.signature,
                    })
                }
            };
            answer(answers, waiting.id, &reply);
        }
        self.journal.flush()?;
        failpoint("after-signature-appended");
        Ok(())
    }
}

fn sign_one(keys: Option<&Keyring>, waiting: &Waiting<'_>) -> Result<Vec<u8>, Refusal> {
    let issuer = keys
        .and_then(|keys| keys.by_key_id(&waiting.issuer))
        .ok_or(Refusal::UnknownIssuer)?;
    issuer
        .sign(&waiting.tbs)
        .map_err(|_| Refusal::SigningFailed)
}
