import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.Security;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.bouncycastle.cms.CMSAuthEnvelopedData;
import org.bouncycastle.cms.Recipient;
import org.bouncycastle.cms.RecipientInformation;
import org.bouncycastle.cms.jcajce.JceKeyAgreeEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyTransEnvelopedRecipient;
import org.bouncycastle.jce.provider.BouncyCastleProvider;

/** Opens a CMS AuthEnvelopedData for each recipient in turn: MESSAGE (FAMILY KEY)...; prints the content in hex. */
public final class AuthEnvelopedOpen {
    private AuthEnvelopedOpen() {
    }

    public static void main(String[] arguments) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        byte[] message = Files.readAllBytes(Path.of(arguments[0]));
        List<RecipientInformation> recipients =
                new ArrayList<>(new CMSAuthEnvelopedData(message).getRecipientInfos().getRecipients());
        for (int at = 0; 2 * at + 2 < arguments.length; at++) {
            String family = arguments[2 * at + 1];
            PKCS8EncodedKeySpec encoded = new PKCS8EncodedKeySpec(Files.readAllBytes(Path.of(arguments[2 * at + 2])));
            PrivateKey key = KeyFactory.getInstance(family, "BC").generatePrivate(encoded);
            Recipient who = family.equals("RSA")
                    ? new JceKeyTransEnvelopedRecipient(key).setProvider("BC")
                    : new JceKeyAgreeEnvelopedRecipient(key).setProvider("BC");
            System.out.println(HexFormat.of().formatHex(recipients.get(at).getContent(who)));
        }
    }
}
