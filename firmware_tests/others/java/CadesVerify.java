import java.io.FileInputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.Security;
import java.security.cert.CertPathBuilder;
import java.security.cert.CertStore;
import java.security.cert.CertificateFactory;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.PKIXBuilderParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509CertSelector;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Date;
import java.util.List;
import java.util.Set;
import org.bouncycastle.asn1.ASN1EncodableVector;
import org.bouncycastle.asn1.cms.Attribute;
import org.bouncycastle.asn1.ess.ESSCertIDv2;
import org.bouncycastle.asn1.ess.SigningCertificateV2;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.tsp.MessageImprint;
import org.bouncycastle.asn1.cms.ContentInfo;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.SignerInformation;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.tsp.TimeStampToken;
import org.bouncycastle.util.Arrays;
import org.bouncycastle.util.Store;

/**
 * CadesVerify CA.pem SECONDS CMS DOCUMENT|- [CMS DOCUMENT|-]...
 *
 * Prints for each CMS "ok signers=N timestamps=M content=BYTES" or "failed REASON". Checked: each signer's signature
 * and digest, its signing-certificate-v2 attribute, its path to the CA at SECONDS since the epoch, and its
 * signature time-stamps (imprint, the token's own signature).
 */
public final class CadesVerify {
    private static final BouncyCastleProvider BC = new BouncyCastleProvider();

    public static void main(String[] arguments) throws Exception {
        Security.addProvider(BC);
        X509Certificate ca;
        try (FileInputStream in = new FileInputStream(arguments[0])) {
            ca = (X509Certificate) CertificateFactory.getInstance("X.509", BC).generateCertificate(in);
        }
        Date at = new Date(Long.parseLong(arguments[1]) * 1000);
        for (int i = 2; i < arguments.length; i += 2) {
            String verdict;
            try {
                byte[] cms = Files.readAllBytes(Path.of(arguments[i]));
                String document = arguments[i + 1];
                verdict = verify(cms, document.equals("-") ? null : Files.readAllBytes(Path.of(document)), ca, at);
            } catch (Exception | AssertionError error) {
                verdict = "failed " + error;
            }
            System.out.println(verdict);
        }
    }

    private static String verify(byte[] encoded, byte[] document, X509Certificate ca, Date at) throws Exception {
        CMSSignedData cms = document == null
            ? new CMSSignedData(encoded)
            : new CMSSignedData(new CMSProcessableByteArray(document), encoded);
        if (!Arrays.areEqual(ContentInfo.getInstance(encoded).getEncoded("DER"), encoded)) {
            return "failed not DER";
        }
        Store<X509CertificateHolder> store = cms.getCertificates();
        int timestamps = 0;
        Collection<SignerInformation> signers = cms.getSignerInfos().getSigners();
        for (SignerInformation signer : signers) {
            @SuppressWarnings("unchecked")
            X509CertificateHolder holder = only(store.getMatches(signer.getSID()));
            X509Certificate certificate = new JcaX509CertificateConverter().setProvider(BC).getCertificate(holder);
            if (!signer.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider(BC).build(certificate))) {
                return "failed signature";
            }
            checkSigningCertificate(signer, holder);
            checkPath(certificate, store, ca, at);
            timestamps += checkTimestamps(signer);
        }
        Object content = cms.getSignedContent() == null ? null : cms.getSignedContent().getContent();
        int size = content == null ? -1 : ((byte[]) content).length;
        return "ok signers=" + signers.size() + " timestamps=" + timestamps + " content=" + size;
    }

    private static void checkSigningCertificate(SignerInformation signer, X509CertificateHolder holder) throws Exception {
        Attribute attribute = signer.getSignedAttributes().get(PKCSObjectIdentifiers.id_aa_signingCertificateV2);
        ESSCertIDv2 id = SigningCertificateV2.getInstance(attribute.getAttributeValues()[0]).getCerts()[0];
        String algorithm = id.getHashAlgorithm().getAlgorithm().getId();
        byte[] digest = MessageDigest.getInstance(algorithm, BC).digest(holder.getEncoded());
        if (!Arrays.areEqual(digest, id.getCertHash())) {
            throw new AssertionError("signing-certificate-v2 names another certificate");
        }
    }

    private static void checkPath(X509Certificate certificate, Store<X509CertificateHolder> store, X509Certificate ca,
                                  Date at) throws Exception {
        X509CertSelector target = new X509CertSelector();
        target.setCertificate(certificate);
        PKIXBuilderParameters parameters = new PKIXBuilderParameters(Set.of(new TrustAnchor(ca, null)), target);
        List<X509Certificate> all = new ArrayList<>();
        for (X509CertificateHolder holder : store.getMatches(null)) {
            all.add(new JcaX509CertificateConverter().setProvider(BC).getCertificate(holder));
        }
        parameters.addCertStore(CertStore.getInstance("Collection", new CollectionCertStoreParameters(all)));
        parameters.setRevocationEnabled(false);
        parameters.setDate(at);
        CertPathBuilder.getInstance("PKIX", BC).build(parameters);
    }

    private static X509CertificateHolder only(Collection<X509CertificateHolder> matches) {
        if (matches.size() != 1) {
            throw new AssertionError("the signer's certificate is not there once");
        }
        return matches.iterator().next();
    }

    @SuppressWarnings("unchecked")
    private static int checkTimestamps(SignerInformation signer) throws Exception {
        if (signer.getUnsignedAttributes() == null) {
            return 0;
        }
        int count = 0;
        ASN1EncodableVector attributes =
            signer.getUnsignedAttributes().getAll(PKCSObjectIdentifiers.id_aa_signatureTimeStampToken);
        for (int i = 0; i < attributes.size(); i++) {
            ContentInfo info = ContentInfo.getInstance(Attribute.getInstance(attributes.get(i)).getAttributeValues()[0]);
            TimeStampToken token = new TimeStampToken(info);
            MessageImprint imprint = token.getTimeStampInfo().toASN1Structure().getMessageImprint();
            String algorithm = imprint.getHashAlgorithm().getAlgorithm().getId();
            byte[] digest = MessageDigest.getInstance(algorithm, BC).digest(signer.getSignature());
            if (!Arrays.areEqual(digest, imprint.getHashedMessage())) {
                throw new AssertionError("the time-stamp is over something else");
            }
            X509CertificateHolder unit = only(token.getCertificates().getMatches(token.getSID()));
            token.validate(new JcaSimpleSignerInfoVerifierBuilder().setProvider(BC).build(unit));
            count++;
        }
        return count;
    }
}
